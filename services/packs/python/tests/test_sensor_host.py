"""The program that runs sensors, over a socket as Hearken uses it."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from hearken_python import sensor_host, sensor_link

LAYER = os.path.dirname(os.path.dirname(os.path.abspath(sensor_host.__file__)))
# How long a start and a few lines may take on a machine that does other things.
WAIT_SECONDS = 60

SENSORS = """
from st2reactor.sensor.base import PollingSensor, Sensor

class Poller(PollingSensor):
    def setup(self):
        self.triggers = []

    def poll(self):
        self.sensor_service.dispatch("p.polled", {"triggers": self.triggers, "token": TOKEN})

    def cleanup(self):
        self.sensor_service.get_logger("x").info("cleaned up")

    def add_trigger(self, trigger):
        self.triggers = self.triggers + [trigger["ref"]]

    def update_trigger(self, trigger):
        pass

    def remove_trigger(self, trigger):
        self.triggers = [one for one in self.triggers if one != trigger["ref"]]

class Old(object):
    def __init__(self, container_service, config=None):
        self.service, self.config = container_service, config

    def setup(self):
        pass

    def start(self):
        self.service.dispatch({"trigger": "p.started"}, dict(self.config))

    def stop(self):
        self.service.get_logger("x").info("stopped")

    def get_trigger_types(self):
        return [{"name": "started"}]

class Plain(Sensor):
    setup = run = cleanup = lambda self: None
    add_trigger = update_trigger = remove_trigger = lambda self, trigger: None

class Raising(Plain):
    def run(self):
        raise KeyError("url")

class Tagging(Plain):
    def run(self):
        from collections import namedtuple

        both = namedtuple("Context", "trace_tag id_")
        tell = self.sensor_service.dispatch_with_context
        self.sensor_service.dispatch("p.t", trace_tag="one")
        tell("p.t", {}, {"trace_tag": "two"})
        tell("p.t", {}, both("three", None))
        tell("p.t", {}, both(None, "four"))
        tell("p.t", {}, None)

class Odd(Plain):
    def run(self):
        circle = {}
        circle["circle"] = circle
        self.sensor_service.dispatch("p.circle", circle)
        self.sensor_service.dispatch("p.long", {"text": "x" * (2 << 20)})
        self.sensor_service.dispatch("p.list", [1])

class Slow(Plain):
    def setup(self):
        import time

        self.sensor_service.get_logger("x").info("setting up")
        while True:
            time.sleep(0.1)

import os
TOKEN = os.environ["ST2_AUTH_TOKEN"]
"""


class Host:
    """A sensor's process and our end of its socket."""

    def __init__(self, folder, class_name):
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(WAIT_SECONDS)
        path = os.path.join(folder, "sensors.py")
        with open(path, "w") as file:
            file.write(SENSORS)
        program = os.path.join(LAYER, "hearken_python", "sensor_host.py")
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-u", program],
            stdin=theirs,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self.lines = self.ours.makefile("rb")
        self.say(
            pack="p",
            folder=folder,
            file=path,
            class_name=class_name,
            config={"k": 1},
            poll_interval=0.05,
            environment={"ST2_AUTH_TOKEN": "secret"},
            triggers=[{"object": {"ref": "p.one"}}],
        )

    def say(self, **message):
        self.ours.sendall(json.dumps(message).encode() + b"\n")

    def hear(self, key):
        """The next line with this key."""
        while True:
            line = self.lines.readline()
            if not line:
                raise EOFError("no line with %s" % key)
            message = json.loads(line)
            if key in message:
                return message

    def end(self):
        self.process.kill()
        self.process.wait()
        self.lines.close()
        self.ours.close()


class SensorHostTest(unittest.TestCase):
    def host(self, class_name):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        host = Host(folder.name, class_name)
        self.addCleanup(host.end)
        return host

    def test_a_polling_sensor_waits_for_answers_and_follows_triggers(self):
        host = self.host("Poller")
        first = host.hear("event")
        expected = {"triggers": ["p.one"], "token": "secret"}
        self.assertEqual(first["event"], {"trigger": "p.polled", "payload": expected})
        host.say(trigger="added", object={"ref": "p.two"})
        host.say(trigger="removed", object={"ref": "p.one"})
        host.say(refused=first["n"], why="no room")
        self.assertIn("no room", host.hear("log")["log"]["message"])
        triggers = None
        while triggers != ["p.two"]:
            told = host.hear("event")
            triggers = told["event"]["payload"]["triggers"]
            host.say(stored=told["n"])
        host.process.send_signal(signal.SIGTERM)
        self.assertEqual(host.hear("log")["log"]["message"], "cleaned up")
        self.assertEqual(host.process.wait(WAIT_SECONDS), 0)

    def test_the_first_generation_is_started_and_stopped(self):
        host = self.host("Old")
        self.assertEqual(host.hear("register")["register"], [{"name": "started"}])
        told = host.hear("event")
        expected = {"trigger": {"trigger": "p.started"}, "payload": {"k": 1}}
        self.assertEqual(told["event"], expected)
        host.say(stored=told["n"])
        host.process.send_signal(signal.SIGTERM)
        self.assertEqual(host.hear("log")["log"]["message"], "stopped")
        self.assertEqual(host.process.wait(WAIT_SECONDS), 0)

    def test_an_exception_is_told_and_ends_the_process(self):
        host = self.host("Raising")
        self.assertEqual(host.hear("error"), {"error": "KeyError: 'url'"})
        self.assertEqual(host.process.wait(WAIT_SECONDS), 1)

    def test_the_tag_of_a_trace_is_told_with_the_event(self):
        host = self.host("Tagging")
        tags = []
        for _ in range(5):
            told = host.hear("event")
            tags.append(told["event"].get("trace_tag"))
            host.say(stored=told["n"])
        self.assertEqual(tags, ["one", "two", "three", "four", None])

    def test_what_cannot_be_told_is_an_error_and_the_rest_is_left_to_hearken(self):
        host = self.host("Odd")
        for expected in ("p.circle is dropped: Circular", "p.long is dropped: it is longer"):
            line = host.hear("log")["log"]
            self.assertEqual(line["level"], "ERROR")
            self.assertIn(expected, line["message"])
        self.assertEqual(host.hear("event")["event"], {"trigger": "p.list", "payload": [1]})

    def test_a_sensor_is_ready_after_its_setup_and_ends_in_the_middle_of_it(self):
        host = self.host("Poller")
        self.assertEqual(host.hear("ready"), {"ready": True})
        self.assertIn("event", host.hear("n"))
        host = self.host("Slow")
        host.hear("log")
        host.process.send_signal(signal.SIGTERM)
        self.assertEqual(host.process.wait(WAIT_SECONDS), 0)
        with self.assertRaises(EOFError):
            host.hear("ready")

    def test_a_missing_class_is_told_with_those_that_are_there(self):
        error = self.host("Absent").hear("error")["error"]
        self.assertIn("has no class Absent; it has: Odd, Old, Plain, Poller, Raising, Slow, Tagging", error)

    def test_the_process_ends_when_nobody_is_at_the_other_end(self):
        host = self.host("Poller")
        host.hear("event")
        host.lines.close()
        host.ours.close()
        self.assertEqual(host.process.wait(WAIT_SECONDS), -signal.SIGKILL)

    def test_seconds_and_function_come_in_either_order(self):
        spawned = sensor_host.either_order(lambda *given, **named: (given, named))
        self.assertEqual(spawned(10, print, 1, a=2), ((10, print, 1), {"a": 2}))
        self.assertEqual(spawned(print, 10, 1), ((10, print, 1), {}))

    def test_what_json_does_not_know_becomes_something_it_does(self):
        import datetime

        for value, expected in [
            (datetime.datetime(2020, 1, 2), "2020-01-02T00:00:00"),
            (b"a\xff", "a\ufffd"),
            ({1}, [1]),
            (1j, "1j"),
        ]:
            self.assertEqual(sensor_link.plain(value), expected)


if __name__ == "__main__":
    unittest.main()
