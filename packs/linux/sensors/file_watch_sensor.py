"""Tells the lines that are written to files.

A file is followed by its name. One that is there when a rule asks for it is read from its end, one
that comes later from its beginning. When it is renamed and made anew, as logs are, the old one is
read on for a while, because its writer may not know yet; when it was cut, it is read from its
beginning. Lines are told when they are whole; of one that is too long the beginning is told.

It looks every quarter of a second: that needs nothing that is not in Python, works on every file
system, and costs one system call for each file.
"""

import os
import stat
import threading
import time

from st2reactor.sensor.base import Sensor

# How often files are looked at.
LOOK_SECONDS = 0.25
# Files that are followed at a time: each takes a descriptor, two for a while when it is replaced,
# and a process has 1024.
FILES_MAX = 400
# How long a file is read on that has lost its name: programs take a moment to write to the new one.
LINGER_SECONDS = 30
# The most that is read of one file before the others have their turn.
READ_BYTES = 256 << 10
# What is looked at again to see whether a file was written anew: it ends like no other.
COMPARED_BYTES = 128
# The longest line; what is beyond it is left out. An event has to fit into the bus.
LINE_BYTES_MAX = 64 << 10


class FileWatchSensor(Sensor):
    """Follows the file of each trigger that rules ask for."""

    def __init__(self, sensor_service, config=None):
        super().__init__(sensor_service=sensor_service, config=config)
        self._logger = sensor_service.get_logger("files")
        self._lock = threading.Lock()
        self._files = {}
        self._leaving = []

    def setup(self):
        pass

    def run(self):
        while True:
            if not self.look():
                time.sleep(LOOK_SECONDS)

    def look(self):
        """Looks at every file once; whether one of them may have more."""
        with self._lock:
            files = list(self._files.items())
            leaving, self._leaving = self._leaving, []
        for file in leaving:
            file.close()
        has_more = False
        for reference, file in files:
            lines, may_go_on = file.read()
            has_more = has_more or may_go_on
            for line in lines:
                # Its rule may be gone since the list was made.
                if self._files.get(reference) is not file:
                    break
                payload = {"file_path": file.path, "file_name": file.name, "line": line}
                self.sensor_service.dispatch(trigger=reference, payload=payload)
        return has_more

    def cleanup(self):
        pass

    def add_trigger(self, trigger):
        path = trigger["parameters"].get("file_path")
        if not path:
            self._logger.error("a rule asks for no file: the parameter file_path is empty")
            return
        with self._lock:
            if len(self._files) >= FILES_MAX:
                self._logger.error("%s is not followed: %d files are", path, FILES_MAX)
                return
            self._files[trigger["ref"]] = File(path, self._logger)
        self._logger.info("%s is followed", path)

    def update_trigger(self, trigger):
        self.remove_trigger(trigger)
        self.add_trigger(trigger)

    def remove_trigger(self, trigger):
        with self._lock:
            file = self._files.pop(trigger["ref"], None)
            # Closed by the thread that reads it.
            self._leaving += [file] if file else []
        if file is not None:
            self._logger.info("%s is not followed any more", file.path)


class File:
    """One file by its name, which may be another file's later."""

    def __init__(self, path, logger):
        self.path = path
        self.name = os.path.basename(path)
        self._logger = logger
        self._complaint = None
        self._former = None
        self._now = self._open(at_end=True)

    def read(self):
        """Lines that are there now, and whether there may be more at once."""
        try:
            lines = self._read_former()
            self._now = self._now or self._open(at_end=False)
            if self._now is None:
                return lines, False
            # Before it is read: what is written between the two is told now.
            was_replaced = self._was_replaced()
            more, may_go_on = self._now.read()
            if was_replaced and not may_go_on:
                self._former, self._now = self._now, self._open(at_end=False)
                self._former.until = time.monotonic() + LINGER_SECONDS
            return lines + more, may_go_on or was_replaced
        except OSError as error:
            # It is open, so this is its disk; it is tried again from where it was.
            self._complain(error)
            return [], False

    def close(self):
        """Gives up what it holds."""
        for opened in (self._former, self._now):
            if opened is not None:
                opened.close()

    def _read_former(self):
        """What is still written to the file that had the name before."""
        if self._former is None:
            return []
        lines, _may_go_on = self._former.read()
        # Until another file takes its place, too.
        if time.monotonic() > self._former.until or self._was_replaced():
            lines += self._former.close()
            self._former = None
        return lines

    def _was_replaced(self):
        """Whether the name is another file's by now; one that is gone may still be written to."""
        try:
            named = os.stat(self.path)
        except OSError:
            return False
        return self._now is not None and not self._now.is_same(named)

    def _open(self, at_end):
        """The file of this name, if there is one."""
        try:
            # Without waiting: a pipe has nobody at its other end.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._complain(error)
            return None
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            self._complain("it is no file")
            return None
        self._complaint = None
        return Opened(descriptor, found.st_size if at_end else 0)

    def _complain(self, why):
        """Says what is wrong, once."""
        if self._complaint != str(why):
            self._complaint = str(why)
            self._logger.warning("%s cannot be read: %s", self.path, why)


class Opened:
    """A file that is open, and how far it was read."""

    def __init__(self, descriptor, position):
        self.until = None
        self._descriptor = descriptor
        self._position = position
        self._before = self._last(b"")
        self._seen = None
        self._lines = Lines()

    def is_same(self, other):
        """Whether it is the file of this description."""
        ours = os.fstat(self._descriptor)
        return (other.st_dev, other.st_ino) == (ours.st_dev, ours.st_ino)

    def read(self):
        """Lines that have become whole, and whether there may be more at once."""
        found = os.fstat(self._descriptor)
        seen = (found.st_size, found.st_mtime_ns)
        if seen == self._seen and found.st_size == self._position:
            return [], False
        self._seen = seen
        if self._was_rewritten():
            # What was begun in it is gone.
            self._position, self._before = 0, b""
            self._lines = Lines()
        piece = os.pread(self._descriptor, READ_BYTES, self._position)
        self._position += len(piece)
        self._before = self._last(piece)
        return self._lines.take(piece), len(piece) == READ_BYTES

    def close(self):
        """What is left without an end: nobody will write it."""
        os.close(self._descriptor)
        return self._lines.rest()

    def _was_rewritten(self):
        """Whether what was read is not there any more: it was cut, and perhaps filled again."""
        start = self._position - len(self._before)
        return os.pread(self._descriptor, len(self._before), start) != self._before

    def _last(self, piece):
        """The end of what was read, of which `piece` is the newest."""
        if len(piece) >= COMPARED_BYTES:
            return piece[-COMPARED_BYTES:]
        start = max(self._position - COMPARED_BYTES, 0)
        return os.pread(self._descriptor, self._position - start, start)


class Lines:
    """Bytes, cut into lines."""

    def __init__(self):
        self._begun = b""

    def take(self, piece):
        """The lines that these bytes make whole."""
        *ends, begun = piece.split(b"\n")
        lines = []
        for end in ends:
            self._add(end)
            lines += [text(self._begun)]
            self._begun = b""
        self._add(begun)
        return lines

    def rest(self):
        """What is left without an end."""
        begun, self._begun = self._begun, b""
        return [text(begun)] if begun else []

    def _add(self, piece):
        self._begun += piece[: LINE_BYTES_MAX - len(self._begun)]


def text(line):
    """A line as it is told, without blanks around it."""
    return line.decode("utf-8", "replace").strip()
