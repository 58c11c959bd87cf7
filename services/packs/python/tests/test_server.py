"""The prepared interpreter, spoken to as Hearken does."""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

PYTHON = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(PYTHON, "layer", "hearken_python", "__main__.py")

TEXT = """
import os
import sys
import time

from st2common.runners.base_action import Action


class Act(Action):
    def run(self, how):
        sys.stdout.write("out\\n")
        if how == "sleep":
            time.sleep(1000)
        with open("/proc/self/environ") as file:
            shown = file.read().split("\\0")
        return {
            "group": os.getpgrp() == os.getpid(),
            "parent": os.getppid(),
            "shown": [entry for entry in shown if entry.startswith("HEARKEN_RUN=")],
            "own": os.environ["HEARKEN_RUN"],
            "gone": "ONLY_BEFORE" in os.environ,
            "open": sorted(os.listdir("/proc/self/fd")),
        }
"""


class ServerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.makedirs(os.path.join(self.folder, "actions"))
        with open(os.path.join(self.folder, "actions", "act.py"), "w") as file:
            file.write(TEXT)
        self.number = 0

    def serve(self):
        ours, theirs = socket.socketpair()
        environment = {"HEARKEN_RUN": "test:" + "." * 100, "ONLY_BEFORE": "1"}
        command = [sys.executable, "-B", "-u", PROGRAM, "serve", self.folder]
        self.server = subprocess.Popen(command, stdin=theirs, env=environment)
        theirs.close()
        self.addCleanup(self.server.wait)
        self.addCleanup(ours.close)
        self.assertEqual(ours.recv(100), b"Y")
        return ours

    def fork(self, control, marker, how, tell=True):
        """The process id, our end of the channel, and its standard output."""
        self.number += 1
        ours, theirs = socket.socketpair()
        out, child_out = os.pipe()
        request = b"F" + struct.pack(">IH", self.number, len(marker)) + marker
        socket.send_fds(control, [request], [theirs.fileno(), child_out, child_out])
        theirs.close()
        os.close(child_out)
        number, pid = struct.unpack(">Ii", control.recv(8, socket.MSG_WAITALL))
        self.assertEqual(number, self.number)
        self.addCleanup(ours.close)
        self.addCleanup(os.close, out)
        if tell:
            body = json.dumps({
                "pack": "shop",
                "folder": self.folder,
                "file": os.path.join(self.folder, "actions", "act.py"),
                "parameters": {"how": how},
                "config": {},
                "log_level": "DEBUG",
                "environment": {"PATH": "/usr/bin:/bin"},
                "working_folder": "/",
                "python_path": [],
            }).encode()
            ours.sendall(struct.pack(">Q", len(body)) + body)
        return pid, ours, out

    def test_each_run_is_a_process_of_its_own(self):
        control = self.serve()
        first = self.fork(control, b"test:first", "sleep")
        self.assertEqual(os.read(first[2], 100), b"out\n")
        pid, channel, out = self.fork(control, b"test:second", "tell")
        (length,) = struct.unpack(">Q", channel.recv(8, socket.MSG_WAITALL))
        answer = json.loads(channel.recv(length, socket.MSG_WAITALL))
        self.assertIsNone(answer["status"])
        told = answer["result"]
        # Its own three, the channel, and the folder that is being listed.
        self.assertEqual(len(told.pop("open")), 5)
        self.assertEqual(told, {
            "group": True, "parent": self.server.pid, "shown": ["HEARKEN_RUN=test:second"],
            "own": "test:second", "gone": False,
        })
        # It is not reaped before we say so.
        descriptor = os.pidfd_open(pid)
        self.addCleanup(os.close, descriptor)
        self.assertTrue(select.select([descriptor], [], [], 20)[0])
        with open("/proc/%d/stat" % pid) as file:
            self.assertEqual(file.read().rpartition(") ")[2][0], "Z")
        control.sendall(b"R" + struct.pack(">i", pid))
        self.until(lambda: not os.path.exists("/proc/%d" % pid))
        # A run that nobody tells what to do ends by itself.
        silent, channel, out = self.fork(control, b"test:silent", "", tell=False)
        channel.close()
        self.assertEqual(os.read(out, 100), b"")
        # With us, all ends.
        control.close()
        self.assertEqual(self.server.wait(20), 0)
        self.assertEqual(os.read(first[2], 100), b"")

    def test_what_is_to_be_reaped_may_still_run(self):
        control = self.serve()
        pid, _channel, out = self.fork(control, b"test:late", "sleep")
        self.assertEqual(os.read(out, 100), b"out\n")
        control.sendall(b"R" + struct.pack(">i", pid))
        again, _channel, out = self.fork(control, b"test:again", "sleep")
        self.assertEqual(os.read(out, 100), b"out\n")
        os.killpg(pid, signal.SIGKILL)
        self.until(lambda: not os.path.exists("/proc/%d" % pid))
        self.assertTrue(os.path.exists("/proc/%d" % again))

    def test_libraries_that_start_threads_are_not_imported_before_a_fork(self):
        library = os.path.join(self.folder, "site")
        os.mkdir(library)
        with open(os.path.join(library, "threaded_library.py"), "w") as file:
            file.write("import threading, time\n"
                       "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n")
        with open(os.path.join(self.folder, "actions", "uses.py"), "w") as file:
            file.write("import threaded_library\n")
        ours, theirs = socket.socketpair()
        environment = {"HEARKEN_RUN": "test:" + "." * 100, "PYTHONPATH": library}
        command = [sys.executable, "-B", "-u", PROGRAM, "serve", self.folder]
        self.server = subprocess.Popen(command, stdin=theirs, env=environment)
        theirs.close()
        self.addCleanup(self.server.wait)
        self.addCleanup(ours.close)
        self.assertEqual(ours.recv(100), b"Y")
        tasks = os.listdir("/proc/%d/task" % self.server.pid)
        self.assertEqual(len(tasks), 1)
        with open("/proc/%d/cmdline" % self.server.pid) as file:
            self.assertEqual(file.read().split("\0")[-2], "bare")

    def until(self, condition):
        for _ in range(2000):
            if condition():
                return
            select.select([], [], [], 0.01)
        self.fail("it never happened")
