"""What tests of packs import, and the program that runs them."""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

from hearken_python import service
from st2common.exceptions.content import ParseException
from st2common.models.utils.action_alias_utils import extract_parameters
from st2common.runners.base_action import Action
from st2reactor.sensor.base import PollingSensor
from st2tests.base import BaseActionAliasTestCase, BaseActionTestCase, BaseSensorTestCase
from st2tests.mocks.action import MockActionService, MockActionWrapper
from st2tests.mocks.sensor import MockSensorService, MockSensorWrapper

NAMES = """
st2common.exceptions.content st2common.models.api.trace
st2common.models.utils.action_alias_utils st2tests.action_aliases st2tests.actions st2tests.base
st2tests.config st2tests.fixturesloader st2tests.http st2tests.mocks.action
st2tests.mocks.datastore st2tests.mocks.sensor st2tests.pack_resource st2tests.sensors
st2tests.spellings
"""
PYTHON = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Remember(Action):
    def run(self, **values):
        for name, value in values.items():
            self.action_service.set_value(name, value)
        self.logger.info("kept")
        return self.config["region"], len(self.action_service.list_values())


class Old(Action):
    def __init__(self, config):
        super().__init__(config)

    def run(self):
        return self.action_service.get_value("x")


class Orders(PollingSensor):
    def setup(self):
        self.log = self.sensor_service.get_logger("orders")

    def poll(self):
        self.log.info("looking every %s s", self.get_poll_interval())
        self.sensor_service.dispatch("shop.order", {"id": self.config["id"]}, trace_tag="t")

    def cleanup(self):
        pass

    add_trigger = update_trigger = remove_trigger = lambda self, trigger: None


class ModulesTest(unittest.TestCase):
    def test_all_can_be_imported_and_have_what_they_say(self):
        for name in NAMES.split():
            module = importlib.import_module(name)
            for export in getattr(module, "__all__", ()):
                self.assertTrue(hasattr(module, export), "%s.%s" % (name, export))

    def test_what_needs_a_database_says_so(self):
        with self.assertRaisesRegex(ImportError, "own database or services"):
            exec("from st2tests.base import DbTestCase")
        with self.assertRaisesRegex(ImportError, "cannot import name"):
            exec("from st2tests.base import NoSuchTestCase")


class ActionsTest(BaseActionTestCase):
    action_cls = Remember

    def test_an_action_has_its_configuration_and_a_datastore(self):
        action = self.get_action_instance(config={"region": "eu"})
        self.assertEqual(action.run(a=1, b=[2]), ("eu", 2))
        self.assertIs(action.action_service, self.action_service)
        # Values are not made texts of: a test sees what the action gave.
        self.assertEqual(self.action_service.get_value("b"), [2])
        self.assertIsNone(self.action_service.get_value("b", local=False))
        self.assertEqual(self.action_service.get_value("tests.Remember:b", local=False), [2])
        names = [item.name for item in self.action_service.list_values(prefix="a")]
        self.assertEqual(names, ["tests.Remember:a"])
        self.assertTrue(self.action_service.delete_value("b"))
        self.assertFalse(self.action_service.delete_value("b"))
        self.assertEqual(self.action_service.get_user_info()["username"], "admin")

    def test_a_missing_configuration_is_named(self):
        # In StackStorm's words: some tests look for them.
        with self.assertRaisesRegex(ValueError, 'Config for pack "tests" is missing key "region"'):
            self.get_action_instance().run()

    def test_a_key_that_would_expire_is_kept_and_told(self):
        self.assertTrue(self.action_service.set_value("x", "1", ttl=5))
        self.action_service.get_logger("any").warning.assert_called_once()

    def test_old_names_of_assertions_are_known(self):
        self.assertEquals(1, 1)
        self.assertItemsEqual([1, 2], [2, 1])
        self.assertRaisesRegexp(ValueError, "x", int, "x")


class OldActionsTest(BaseActionTestCase):
    action_cls = Old

    def test_a_constructor_may_take_the_configuration_alone(self):
        self.action_service.set_value("x", "kept")
        self.assertEqual(self.get_action_instance({}).run(), "kept")


class SensorsTest(BaseSensorTestCase):
    sensor_cls = Orders

    def test_what_a_sensor_dispatches_is_known(self):
        sensor = self.get_sensor_instance(config={"id": 7}, poll_interval=9)
        sensor.setup()
        sensor.poll()
        self.assertTriggerDispatched("shop.order")
        self.assertTriggerDispatched("shop.order", payload={"id": 7})
        self.assertEqual(self.get_last_dispatched_trigger()["trace_context"].trace_tag, "t")
        self.assertEqual(len(self.get_dispatched_triggers()), 1)
        self.sensor_service.get_logger("x").info.assert_called_with("looking every %s s", 9)
        for trigger, payload in [("shop.other", None), ("shop.order", {"id": 8})]:
            with self.assertRaisesRegex(AssertionError, "hasn't been dispatched"):
                self.assertTriggerDispatched(trigger, payload=payload)

    def test_what_is_not_given_is_left_to_the_constructor(self):
        sensor = self.get_sensor_instance()
        self.assertEqual((sensor.config, sensor.get_poll_interval()), ({}, 5))

    def test_services_can_be_made_by_hand(self):
        sensors = MockSensorService(sensor_wrapper=MockSensorWrapper(pack="a", class_name="B"))
        self.assertEqual(sensors.dispatch("t", payload=1)["payload"], 1)
        sensors.set_value("k", "v")
        self.assertEqual(sensors.datastore_service.get_value("a.B:k", local=False), "v")
        actions = MockActionService(action_wrapper=MockActionWrapper(pack="a", class_name="B"))
        self.assertEqual(actions.list_values(local=False), [])


class FormatsTest(unittest.TestCase):
    def check(self, format, command, expected):
        with self.subTest(format=format, command=command):
            self.assertEqual(extract_parameters(format, command), expected)

    def test_places_take_what_is_meant(self):
        for format, command, expected in [
            ("say {{ what }}", "say hello world", {"what": "hello world"}),
            ("say {{what}} to {{who}}", "say 'a to b' to c", {"what": "a to b", "who": "c"}),
            ('put {{ a }} {{ b }}', 'put "x y" {"k": 1}', {"a": "x y", "b": '{"k": 1}'}),
            ("go {{to=home}}", "go", {"to": "home"}),
            ("go {{to='far away'}}", "go", {"to": "far away"}),
            ("go {{to={\"a\": {\"b\": 1}}}}", "go", {"to": '{"a": {"b": 1}}'}),
            ('go {{to=""}}', "go", {"to": ""}),
            ("go {{to=home}}", "go west", {"to": "west"}),
            ("go {{to}}", "go west a=7 b='very fast'", {"to": "west", "a": "7", "b": "very fast"}),
            ("go {{to}}", "go west to=east", {"to": "east"}),
            ("", "a=1 b='2 3'", {"a": "1", "b": "2 3"}),
            ("(get|fetch) {{x}}", "fetch it", {"x": "it"}),
            ("get (?P<n>\\d+) {{x=all}}", "get 3", {"n": "3", "x": "all"}),
            (r"deploy[$^]? {{x}}", "deploy it", {"x": "it"}),
        ]:
            self.check(format, command, expected)

    def test_what_is_not_meant_is_refused(self):
        for format, command in [
            ("say {{what}}", "tell me"),
            ("say {{what}}", "say"),
            ("say {{what}}", "please say it"),
            ("go home", "go home now"),
        ]:
            with self.subTest(format=format, command=command):
                with self.assertRaisesRegex(ParseException, "doesn't match"):
                    extract_parameters(format, command)

    def test_a_format_with_anchors_of_its_own_may_match_anywhere(self):
        self.assertEqual(extract_parameters(r".*help( me)?.*$", "do help me please"), {})
        found = extract_parameters(r"id-(?P<id>\d+)\b.*?$|^never", "id-7", match_multiple=True)
        self.assertEqual(found, [{"id": "7"}])


ALIAS = {
    "name": "deploy",
    "action_ref": "shop.deploy",
    "formats": [
        "deploy {{ what }}",
        {
            "display": "ship it",
            "representation": ["ship {{ what }}", "ship {{ what }} to {{ to=eu }}"],
        },
    ],
}


class AliasesTest(BaseActionAliasTestCase):
    action_alias_name = "deploy"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        os.mkdir(os.path.join(folder.name, "aliases"))
        with open(os.path.join(folder.name, "aliases", "deploy.json"), "w") as file:
            json.dump(ALIAS, file)
        self._get_base_pack_path = lambda: folder.name
        super().setUp()

    def test_an_alias_has_its_formats(self):
        formats = self.action_alias_db.get_format_strings()
        self.assertEqual(formats[:2], ["deploy {{ what }}", "ship {{ what }}"])
        self.assertEqual(self.action_alias_db.formats[1]["representation"][0], formats[1])
        self.assertEqual(self.action_alias_db.action_ref, "shop.deploy")
        self.assertCommandMatchesExactlyOneFormatString(formats, "deploy web")
        for command, why in [("ship web to us", "multiple"), ("go", "didn't match any")]:
            with self.assertRaisesRegex(AssertionError, why):
                self.assertCommandMatchesExactlyOneFormatString(formats, command)
        self.assertExtractedParametersMatch(formats[0], "deploy web", {"what": "web"})
        with self.assertRaisesRegex(AssertionError, "make other parameters"):
            self.assertExtractedParametersMatch(formats[0], "deploy web", {"what": "db"})
        with self.assertRaisesRegex(ValueError, "is not available on the alias"):
            self.assertExtractedParametersMatch("x", "x", {})

    def test_an_alias_that_is_not_there_is_named(self):
        with self.assertRaisesRegex(ValueError, 'Alias with name "none" not found'):
            self._get_action_alias_db_by_name("none")


class TrialTest(unittest.TestCase):
    """The program, with packs of its own."""

    def run_tests(self, files, only=None):
        with tempfile.TemporaryDirectory() as folder:
            folder = os.path.realpath(folder)
            for path, text in files.items():
                place = os.path.join(folder, path)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with open(place, "w") as file:
                    file.write(textwrap.dedent(text))
            program = os.path.join(PYTHON, "layer", "hearken_python", "trial.py")
            wanted = json.dumps({"pack": "shop", "folder": folder, "only": only})
            command = [sys.executable, "-B", program]
            ended = subprocess.run(command, input=wanted + "\n", capture_output=True, text=True)
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        results = [line for line in lines if "outcome" in line]
        self.assertEqual(lines[-1:], [{"over": len(results)}], ended.stderr)
        name = lambda line: "%s: %s" % (line["file"][len("tests/") :], line["name"])
        return {name(line): (line["outcome"], line["message"]) for line in results}

    def test_tests_find_what_they_import(self):
        found = self.run_tests(
            {
                "lib/shared.py": "WHO = 'lib'",
                "actions/say.py": "import helper, shared\nfrom lib.deep import HOW\nclass Say: ...",
                "actions/lib/__init__.py": "",
                "actions/lib/deep.py": "HOW = 'deep'",
                "actions/lib/helper.py": "",
                "sensors/look.py": "",
                "etc/handler.py": "",
                "tests/base_case.py": """
                    import unittest

                    class Base(unittest.TestCase):
                        __test__ = False
                """,
                "tests/fixtures/a.txt": "fixture",
                "tests/test_say.py": """
                    import look, handler, mock, unittest2
                    from base_case import Base
                    from say import Say
                    from st2tests.base import BaseActionTestCase

                    class SayTest(Base):
                        __test__ = True

                        def test_say(self):
                            with mock.patch("say.HOW", "patched"):
                                import say
                                self.assertEqual((say.HOW, say.shared.WHO), ("patched", "lib"))

                    class FixtureTest(BaseActionTestCase):
                        action_cls = Say

                        def test_fixture(self):
                            self.assertEqual(self.get_fixture_content("a.txt"), "fixture")
                """,
            }
        )
        names = ["test_say.py: SayTest.test_say", "test_say.py: FixtureTest.test_fixture"]
        self.assertEqual(found, {name: ("passed", "") for name in names})

    def test_a_package_of_tests_is_one(self):
        found = self.run_tests(
            {
                "tests/__init__.py": "",
                "tests/tools.py": "A = 1",
                "tests/deep/test_a.py": "from tests.tools import A\ndef test_a(): assert A == 1",
                "tests/other/test_a.py": "def test_a(): raise KeyError('other')",
                "tests/b_test.py": """
                    from tests.tools import A

                    class TestB:
                        def test_b(self):
                            assert A
                """,
                "tests/plain.py": "raise AssertionError('this is no test')",
            }
        )
        self.assertEqual(
            {name: outcome for name, (outcome, _) in found.items()},
            {
                "b_test.py: TestB.test_b": "passed",
                "deep/test_a.py: test_a": "passed",
                "other/test_a.py: test_a": "error",
            },
        )

    def test_every_outcome_is_told(self):
        found = self.run_tests(
            {
                "tests/test_all.py": """
                    import os, sys, unittest

                    class All(unittest.TestCase):
                        def test_fails(self):
                            print("on the way")
                            self.assertEqual(1, 2)

                        def test_errs(self):
                            raise ValueError("no")

                        def test_exits(self):
                            sys.exit(3)

                        @unittest.skip("not today")
                        def test_skipped(self):
                            pass

                        @unittest.expectedFailure
                        def test_expected(self):
                            self.fail()

                        @unittest.expectedFailure
                        def test_unexpected(self):
                            pass

                        def test_parts(self):
                            for number in (1, 2, 3):
                                with self.subTest(number=number):
                                    self.assertEqual(number, 2)

                        def test_prints_to_the_descriptor(self):
                            os.write(1, b'{"over": 0}\\n')

                    class Broken(unittest.TestCase):
                        @classmethod
                        def setUpClass(cls):
                            raise OSError("no server")

                        def test_never(self):
                            pass

                    def test_wants(fixture):
                        pass
                """,
                "tests/test_broken.py": "import no_such_library",
                "tests/test_syntax.py": "def",
                "tests/test_none.py": "import unittest\nraise unittest.SkipTest('no such system')",
            }
        )
        expected = {
            "test_all.py: All.test_fails": ("failed", "on the way"),
            "test_all.py: All.test_errs": ("error", "ValueError: no"),
            "test_all.py: All.test_exits": ("error", "SystemExit: 3"),
            "test_all.py: All.test_skipped": ("skipped", "not today"),
            "test_all.py: All.test_expected": ("passed", ""),
            "test_all.py: All.test_unexpected": ("failed", "expected to fail"),
            "test_all.py: All.test_parts": ("failed", "number=3"),
            "test_all.py: All.test_prints_to_the_descriptor": ("passed", ""),
            "test_all.py: setUpClass (test_all.Broken)": ("error", "no server"),
            "test_all.py: test_wants": ("error", "only pytest gives (fixture)"),
            "test_broken.py: ": ("error", "No module named 'no_such_library'"),
            "test_syntax.py: ": ("error", "SyntaxError"),
            "test_none.py: ": ("skipped", "no such system"),
        }
        outcomes = {name: outcome for name, (outcome, _) in expected.items()}
        self.assertEqual({name: found[name][0] for name in found}, outcomes)
        for name, (_, why) in expected.items():
            self.assertIn(why, found[name][1], name)
        # What is ours, and what imports, is nothing to its author.
        self.assertNotIn("importlib", found["test_broken.py: "][1])
        self.assertIn("number=1", found["test_all.py: All.test_parts"][1])

    def test_only_some_may_be_wanted(self):
        files = {
            "tests/test_a.py": "def test_one(): pass\ndef test_two(): pass",
            "tests/test_b.py": "import no_such_library",
        }
        self.assertEqual(list(self.run_tests(files, only="test_two")), ["test_a.py: test_two"])
        self.assertEqual(list(self.run_tests(files, only="test_b")), ["test_b.py: "])
        self.assertEqual(self.run_tests(files, only="none"), {})

    def test_what_is_written_for_pytest_is_run_by_it(self):
        files = {
            # It stands for the real one, which is not everywhere, and calls what that calls.
            "lib/pytest.py": """
                from types import SimpleNamespace as Report

                def part(when, outcome="passed", **more):
                    return Report(
                        when=when, failed=outcome == "failed", skipped=outcome == "skipped",
                        passed=outcome == "passed", duration=0.25, sections=[], **more)

                def main(options, plugins):
                    [plugin] = plugins
                    assert options[-1].endswith("/tests"), options
                    broken = dict(nodeid="tests/test_b.py", longrepr="", longreprtext="no b")
                    plugin.pytest_collectreport(part("collect", "failed", **broken))
                    plugin.pytest_collectreport(part("collect", nodeid="tests/test_a.py"))
                    items = [Report(nodeid="tests/test_a.py::A::test_" + name) for name in "abcde"]
                    plugin.pytest_collection_modifyitems(items)
                    for item in items:
                        why = dict(nodeid=item.nodeid, longreprtext="why")
                        why["longrepr"] = ("f", 1, "Skipped: not today")
                        last = item.nodeid[-1]
                        plugin.pytest_runtest_logstart(item.nodeid, None)
                        if last == "a":
                            report = part("setup", "failed", **why)
                        elif last == "b":
                            report = part("call", "failed", **why)
                        elif last == "c":
                            report = part("call", "skipped", **why)
                        elif last == "d":
                            report = part("call", "skipped", wasxfail="", **why)
                        else:
                            report = part("call", **why)
                        plugin.pytest_runtest_logreport(report)
                        plugin.pytest_runtest_logfinish(item.nodeid, None)
            """,
            "tests/test_a.py": "import pytest",
        }
        found = self.run_tests(files)
        self.assertEqual(
            found,
            {
                "test_b.py: ": ("error", "no b"),
                "test_a.py: A.test_a": ("error", "why"),
                "test_a.py: A.test_b": ("failed", "why"),
                "test_a.py: A.test_c": ("skipped", "Skipped: not today"),
                "test_a.py: A.test_d": ("passed", ""),
                "test_a.py: A.test_e": ("passed", ""),
            },
        )
        self.assertEqual(list(self.run_tests(files, only="A.test_c")), ["test_a.py: A.test_c"])

    def test_long_messages_are_cut_in_the_middle(self):
        text = "def test(): raise ValueError('x' * 99999 + 'end')"
        found = self.run_tests({"tests/test_a.py": text})
        message = found["test_a.py: test"][1]
        self.assertLess(len(message), 9000)
        self.assertTrue(message.startswith("Traceback") and "[…]" in message and "end" in message)


class FixturesTest(unittest.TestCase):
    def test_fixtures_are_those_of_the_pack(self):
        from st2tests import fixturesloader

        with tempfile.TemporaryDirectory() as folder:
            place = os.path.join(folder, "tests", "fixtures", "generic", "rules")
            os.makedirs(place)
            with open(os.path.join(place, "a.json"), "w") as file:
                file.write('{"name": "a"}')
            before, service.here = service.here, service.Here("shop", folder)
            try:
                loaded = fixturesloader.FixturesLoader().load_fixtures(
                    fixtures_pack="generic", fixtures_dict={"rules": ["a.json"]}
                )
            finally:
                service.here = before
        self.assertEqual(loaded, {"rules": {"a.json": {"name": "a"}}})
