"""What a run hears over its channel, and what it does before and after."""

import os
import struct
import subprocess
import sys
import threading
import unittest

from hearken_python import run

PYTHON = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def message(body):
    return struct.pack(">Q", len(body)) + body


class ChannelTest(unittest.TestCase):
    def check(self, pieces, expected):
        """What is heard of what comes in pieces."""
        channel, theirs = os.pipe()
        self.addCleanup(os.close, channel)

        def write():
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    left = left[os.write(theirs, left) :]
            os.close(theirs)

        thread = threading.Thread(target=write)
        thread.start()
        self.assertEqual(run.receive(channel), expected)
        thread.join()

    def test_what_comes_in_pieces_is_heard_as_a_whole(self):
        text = "\u00e4" * run.READ_BYTES
        for body, expected in [
            (b'{"a": 1}', {"a": 1}),
            (b'{"a": "%s"}' % text.encode(), {"a": text}),
            (b'{"a": "\\ud800"}', {"a": "\ud800"}),
            (b'{"a": "%s"}' % (b"x" * (1 << 20)), {"a": "x" * (1 << 20)}),
        ]:
            whole = message(body)
            self.check([whole], expected)
            self.check([whole[:3], whole[3:8], whole[8:11], whole[11:]], expected)

    def test_what_is_torn_is_not_heard(self):
        whole = message(b'{"a": 1}')
        for length in (0, 3, 8, len(whole) - 1):
            self.check([whole[:length]], None)


class ProgramTest(unittest.TestCase):
    def told(self, code):
        """What a program prints that has our modules."""
        environment = {"PYTHONPATH": os.path.join(PYTHON, "layer"), "HEARKEN_RUN": "test:own"}
        command = [sys.executable, "-B", "-c", code]
        return subprocess.check_output(command, env=environment).decode()

    def test_a_rehearsal_leaves_nothing_behind(self):
        told = self.told("""
import logging, os, sys
from hearken_python import rehearsal, run, service
run.remember([], "/nowhere")

def seen():
    return (set(sys.modules), list(sys.path), sys.argv, dict(os.environ), os.getcwd(),
            set(logging.Logger.manager.loggerDict), service.here, os.listdir("/proc/self/fd"))

before = seen()
rehearsal.play()
print(before == seen(), "HEARKEN_RUN" in os.environ)
""")
        self.assertEqual(told, "True True\n")

    def test_handlers_of_a_run_are_flushed_at_its_end(self):
        told = self.told("""
import logging, logging.handlers, os, sys
from hearken_python import run
run.remember([], "/nowhere")
target = logging.StreamHandler(sys.stdout)
logging.getLogger().addHandler(logging.handlers.MemoryHandler(100, target=target))
logging.error("kept back")
os._exit(run.finish(0))
""")
        self.assertEqual(told, "kept back\n")

    def test_threads_of_a_run_are_waited_for(self):
        told = self.told("""
import os, threading, time
from hearken_python import run
run.remember([], "/nowhere")
threading.Thread(target=lambda: (time.sleep(0.2), print("over"))).start()
os._exit(run.finish(0))
""")
        self.assertEqual(told, "over\n")
