"""The modules that packs import."""

import datetime
import importlib
import os
import tempfile
import unittest

from hearken_python import service

NAMES = """
st2actions.runners.pythonrunner st2common.constants.keyvalue st2common.content.utils
st2common.exceptions.action st2common.log st2common.models.system.action
st2common.runners.base_action st2common.runners.paramiko_ssh st2common.runners.utils
st2common.services.datastore
st2common.util.date st2common.util.isotime st2common.util.jinja st2common.util.monkey_patch
st2common.util.shell st2common.util.types st2reactor.sensor.base st2reactor.sensor.compat
"""


class ModulesTest(unittest.TestCase):
    def test_all_can_be_imported_and_have_what_they_say(self):
        for name in NAMES.split():
            module = importlib.import_module(name)
            for export in getattr(module, "__all__", ()):
                self.assertTrue(hasattr(module, export), "%s.%s" % (name, export))

    def test_times_as_text(self):
        from st2common.util import date, isotime

        when = datetime.datetime(2014, 3, 4, 5, 6, 7, 8, tzinfo=datetime.timezone.utc)
        for options, expected in [
            ({}, "2014-03-04T05:06:07.000008+00:00"),
            ({"usec": False}, "2014-03-04T05:06:07+00:00"),
            ({"usec": False, "offset": False}, "2014-03-04T05:06:07Z"),
        ]:
            text = isotime.format(when, **options)
            self.assertEqual(text, expected)
            self.assertEqual(isotime.parse(text).replace(microsecond=8), when)
        self.assertEqual(isotime.format(0, usec=False), "1970-01-01T00:00:00+00:00")
        self.assertFalse(isotime.validate("2014-03-04", raise_exception=False))
        with self.assertRaises(ValueError):
            isotime.parse("yesterday")
        self.assertEqual(date.convert_to_utc(datetime.datetime(2014, 1, 1)).utcoffset().seconds, 0)

    def test_other_hosts_are_reached_by_ssh(self):
        from st2common.runners.paramiko_ssh import ParamikoSSHClient, SSHCommandTimeoutError

        script = """#!/bin/sh
for word; do last=$word; done
case "$last" in
true) [ -n "$SSH_ASKPASS" ] && [ "$("$SSH_ASKPASS")" = "p'w" ] || { echo denied >&2; exit 255; } ;;
wait) exec sleep 60 ;;
*) printf '%s' "$*" ;;
esac
"""
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "ssh")
            with open(program, "w") as out:
                out.write(script)
            os.chmod(program, 0o755)
            before = os.environ["PATH"]
            os.environ["PATH"] = folder + os.pathsep + before
            try:
                client = ParamikoSSHClient("web", 2222, "ann", password="p'w", key_files="/k")
                self.assertIs(client.connect(), True)
                said, errors, code = client.run("ls a b")
                self.assertEqual((errors, code), ("", 0))
                self.assertIn("-oPort=2222", said)
                self.assertTrue(said.endswith("-i /k -l ann -- web ls a b"), said)
                with self.assertRaises(SSHCommandTimeoutError):
                    client.run("wait", timeout=0.1)
                kept = client._folder.name
                client.close()
                self.assertFalse(os.path.exists(kept))
                other = ParamikoSSHClient(hostname="web", key_material="KEY")
                with self.assertRaises(ConnectionError) as refused:
                    other.connect()
                self.assertIn("denied", str(refused.exception))
                other.close()
            finally:
                os.environ["PATH"] = before
        with self.assertRaises(ValueError):
            ParamikoSSHClient("web", key_files="/k", key_material="KEY")

    def test_files_stay_in_their_pack(self):
        from st2common.content import utils

        with tempfile.TemporaryDirectory() as data:
            own = os.path.join(data, "content", "shop", "1")
            other = os.path.join(data, "content", "linux", "2")
            os.makedirs(own)
            os.makedirs(other)
            before, service.here = service.here, service.Here("shop", own)
            try:
                self.assertEqual(utils.get_pack_base_path("shop"), own)
                self.assertEqual(utils.get_pack_base_path("linux"), other)
                place = utils.get_pack_file_abs_path("shop", "a.py", "action")
                self.assertEqual(place, os.path.join(os.path.realpath(own), "actions", "a.py"))
                for bad in ("../../../x", "/etc/passwd"):
                    with self.assertRaises(ValueError):
                        utils.get_pack_file_abs_path("shop", bad, "action")
            finally:
                service.here = before

    def test_sensors_have_both_spellings(self):
        from st2reactor.sensor.base import PollingSensor

        class Look(PollingSensor):
            def setup(self):
                pass

            def poll(self):
                raise StopIteration

            def cleanup(self):
                pass

            add_trigger = update_trigger = remove_trigger = lambda self, trigger: None

        look = Look("service", {"a": 1}, poll_interval=9)
        self.assertEqual((look.config, look._config), ({"a": 1}, {"a": 1}))
        self.assertEqual((look.sensor_service, look._sensor_service), ("service", "service"))
        self.assertEqual(look.get_poll_interval(), 9)
        with self.assertRaises(StopIteration):
            look.run()

    def test_command_lines(self):
        from st2common.models.system.action import ShellScriptAction

        action = ShellScriptAction(
            "x", "1", "/a b.sh", named_args={"k": "v w", "flag": True, "off": False},
            positional_args=["p q"], sudo=True,
        )
        self.assertEqual(action.get_command_string(), "'/a b.sh' k='v w' flag 'p q'")
        self.assertTrue(action.get_full_command_string().startswith("sudo -E -- bash -c "))

    def test_sets_keep_their_order(self):
        from st2common.util.types import OrderedSet

        found = OrderedSet([3, 1, 3])
        found.add(2)
        self.assertEqual((list(found), found.pop(), found.pop(last=False)), ([3, 1, 2], 2, 3))
        self.assertEqual(found, {1})
