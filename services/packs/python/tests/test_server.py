"""The prepared interpreter, spoken to as Hearken does."""

import errno
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
import logging
import os
import subprocess
import sys
import threading
import time

from st2common.runners.base_action import Action


def forks_again():
    told = []

    def fork():
        held.wait()
        pid = os.fork()
        if pid == 0:
            # The lock is held by a thread that is not here; the standard library repairs that.
            logging.getLogger("any").debug("a line")
            is_main = threading.current_thread() is threading.main_thread()
            os._exit(7 if is_main and threading.active_count() == 1 else 1)
        told.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    def hold():
        with handler.lock:
            held.set()
            ended.wait()

    handler, held, ended = logging.StreamHandler(), threading.Event(), threading.Event()
    logging.getLogger("any").addHandler(handler)
    logging.getLogger("any").setLevel("DEBUG")
    threads = [threading.Thread(target=hold), threading.Thread(target=fork)]
    for thread in threads:
        thread.start()
    threads[1].join()
    ended.set()
    threads[0].join()
    return told


class Act(Action):
    def run(self, how):
        sys.stdout.write("out\\n")
        if how == "sleep":
            time.sleep(1000)
        if how == "fork":
            return forks_again()
        with open("/proc/self/environ") as file:
            shown = file.read().split("\\0")
        return {
            "group": os.getpgrp() == os.getpid(),
            "parent": os.getppid(),
            "shown": [entry for entry in shown if entry.startswith("HEARKEN_RUN=")],
            "own": os.environ["HEARKEN_RUN"],
            "gone": "ONLY_BEFORE" in os.environ,
            "open": sorted(os.listdir("/proc/self/fd")),
            "passed": len(subprocess.check_output(["ls", "/proc/self/fd"], close_fds=False).split()),
            "input": sys.stdin.read(),
        }
"""


# The server's own marker.
OWN = "test:" + "." * 100


class ServerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.makedirs(os.path.join(self.folder, "actions"))
        with open(os.path.join(self.folder, "actions", "act.py"), "w") as file:
            file.write(TEXT)
        self.number = 0

    def serve(self, command=None):
        ours, theirs = socket.socketpair()
        environment = {"HEARKEN_RUN": OWN, "ONLY_BEFORE": "1"}
        command = command or [PROGRAM, "serve", self.folder]
        command = [sys.executable, "-B", "-u", *command]
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
        # The channel is the run's alone: whoever it starts does not hold it open.
        self.assertEqual(told.pop("passed"), 4)
        self.assertEqual(told, {
            "group": True, "parent": self.server.pid, "shown": ["HEARKEN_RUN=test:second"],
            "own": "test:second", "gone": False, "input": "",
        })
        with open("/proc/%d/environ" % self.server.pid) as file:
            self.assertIn("HEARKEN_RUN=" + OWN, file.read().split("\0"))
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

    def test_a_run_may_fork_as_any_program_may(self):
        control = self.serve()
        _pid, channel, _out = self.fork(control, b"test:forks", "fork")
        channel.settimeout(60)
        (length,) = struct.unpack(">Q", channel.recv(8, socket.MSG_WAITALL))
        answer = json.loads(channel.recv(length, socket.MSG_WAITALL))
        self.assertEqual(answer["result"], [7])

    def test_a_marker_that_has_no_room_is_refused(self):
        control = self.serve()
        marker = b"test:" + b"x" * len(OWN)
        control.sendall(b"F" + struct.pack(">IH", 1, len(marker)) + marker)
        self.assertEqual(struct.unpack(">Ii", control.recv(8, socket.MSG_WAITALL)),
                         (1, -errno.E2BIG))
        pid, _channel, _out = self.fork(control, b"test:short", "sleep")
        self.assertGreater(pid, 1)

    def test_it_ends_when_nothing_runs_and_nobody_asks(self):
        code = ("import sys; sys.path.insert(0, %r); from hearken_python import server; "
                "server.IDLE_SECONDS = 0.05; server.main(%r, bare=False)"
                % (os.path.join(PYTHON, "layer"), self.folder))
        control = self.serve(["-c", code])
        pid, _channel, out = self.fork(control, b"test:long", "sleep")
        self.assertEqual(os.read(out, 100), b"out\n")
        # It stays for what it has to reap, however long that takes.
        select.select([], [], [], 0.5)
        self.assertIsNone(self.server.poll())
        os.killpg(pid, signal.SIGKILL)
        control.sendall(b"R" + struct.pack(">i", pid))
        self.assertEqual(self.server.wait(20), 0)

    def test_libraries_that_open_connections_are_not_imported_before_a_fork(self):
        with open(os.path.join(self.folder, "actions", "uses.py"), "w") as file:
            file.write("import connected_library\n")
        self.check_bare("connected_library", "import os\npipe = os.pipe()\n")

    def test_libraries_that_start_threads_are_not_imported_before_a_fork(self):
        with open(os.path.join(self.folder, "actions", "uses.py"), "w") as file:
            file.write("import threaded_library\n")
        self.check_bare(
            "threaded_library",
            "import threading, time\n"
            "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n",
        )

    def check_bare(self, name, text):
        """It is started again without a library."""
        library = os.path.join(self.folder, "site")
        os.mkdir(library)
        with open(os.path.join(library, name + ".py"), "w") as file:
            file.write(text)
        ours, theirs = socket.socketpair()
        environment = {"HEARKEN_RUN": OWN, "PYTHONPATH": library}
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
