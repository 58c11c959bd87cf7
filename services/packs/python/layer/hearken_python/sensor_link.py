"""The way between a sensor's process and Hearken: lines of JSON over one socket, both ways.

We say `{"event": …, "n": 1}`, `{"register": […]}`, `{"ready": true}`, `{"log": …}` and
`{"error": …}`; we hear `{"stored": 1}`, `{"refused": 1, "why": …}` and `{"trigger": "added", …}`.
An event is waited for until it is stored, so a sensor that remembers what it has told loses
nothing, and one that tells too fast is slowed down.

Sensors may use cooperative threads (eventlet) and threads of the system side by side. So what is
taken from the standard library here is taken before eventlet changes it, and nothing that holds
the lock ever waits.
"""

import _thread
import itertools
import json
import os
import select
import signal
import time

# A line's bytes at most: what the bus takes, and what the other end reads.
LINE_BYTES_MAX = 1 << 20
# Bytes read at a time.
READ_BYTES = 64 << 10
# Pause before a full socket is tried again.
FULL_SECONDS = 0.002
# How long a sensor may tidy up once Hearken is gone.
ALONE_SECONDS = 2

_write, _read, _sleep, _poll = os.write, os.read, time.sleep, select.poll
_native = _thread.get_ident
_start_native = _thread.start_new_thread
_lock = _thread.allocate_lock


class Link:
    """The socket."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._main = _native()
        self._eventlet = None
        self._lock = _lock()
        self._pending = bytearray()
        self._queued = self._sent = 0
        self._heard = bytearray()
        self._numbers = itertools.count(1)
        self._waiting = {}

    def first(self):
        """The first line, waited for; None when there is none."""
        while b"\n" not in self._heard:
            piece = _read(self._descriptor, READ_BYTES)
            if not piece:
                return None
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        os.set_blocking(self._descriptor, False)
        return json.loads(line)

    def cooperate(self, eventlet):
        """From now on the main thread's waiting is eventlet's."""
        self._eventlet = eventlet

    def guard(self):
        """Ends this process group when Hearken is gone, whatever the sensor is busy with."""
        _start_native(self._guard, ())

    def _guard(self):
        poll = _poll()
        poll.register(self._descriptor, 0)
        poll.poll()
        _sleep(ALONE_SECONDS)
        os.killpg(0, signal.SIGKILL)

    def post(self, message):
        """Sends a line; waits only while the socket is full. False when it is too long."""
        line = json.dumps(message, default=plain).encode() + b"\n"
        if len(line) > LINE_BYTES_MAX:
            return False
        with self._lock:
            self._pending += line
            self._queued += len(line)
            until = self._queued
            self._flush()
        while self._sent < until:
            self._pause()
            with self._lock:
                self._flush()
        return True

    def _flush(self):
        try:
            while self._pending:
                count = _write(self._descriptor, self._pending)
                self._sent += count
                del self._pending[:count]
        except BlockingIOError:
            pass
        except OSError:
            # Nobody reads any more; the guard ends us.
            self._sent += len(self._pending)
            self._pending.clear()

    def _is_cooperative(self):
        return self._eventlet is not None and _native() == self._main

    def _pause(self):
        if self._is_cooperative():
            self._eventlet.sleep(FULL_SECONDS)
        else:
            _sleep(FULL_SECONDS)

    def tell(self, event):
        """Sends an event and waits until it is stored. Answers why not, or None.

        What cannot be sent at all raises ValueError.
        """
        number = next(self._numbers)
        waiter = Green(self._eventlet) if self._is_cooperative() else Native()
        self._waiting[number] = waiter
        try:
            if not self.post({"event": event, "n": number}):
                raise ValueError("it is longer than %d bytes" % LINE_BYTES_MAX)
            return waiter.wait()
        finally:
            self._waiting.pop(number, None)

    def listen(self, heard):
        """Reads for ever; what is no answer goes to `heard`. Returns when Hearken is gone."""
        while True:
            while b"\n" in self._heard:
                line, _, self._heard = self._heard.partition(b"\n")
                self._hear(json.loads(line), heard)
            self._until_readable(self._descriptor)
            try:
                piece = _read(self._descriptor, READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                piece = b""
            if not piece:
                return
            self._heard += piece

    def _hear(self, message, heard):
        number = message.get("stored", message.get("refused"))
        if number is None:
            heard(message)
            return
        waiter = self._waiting.get(number)
        if waiter is not None:
            waiter.done(message.get("why"))

    def _until_readable(self, descriptor):
        if self._is_cooperative():
            self._eventlet.hubs.trampoline(descriptor, read=True)
        else:
            poll = _poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()

    def until_terminated(self):
        """Waits for SIGTERM, also while the main thread waits for something else."""
        reader, writer = os.pipe()
        for descriptor in (reader, writer):
            os.set_blocking(descriptor, False)
        self._terminated = reader
        # The byte comes by the pipe; the function only has to be there.
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

        def wait():
            while True:
                self._until_readable(reader)
                if signal.SIGTERM in _read(reader, READ_BYTES):
                    return

        return wait


class Native:
    """What a thread of the system waits for."""

    def __init__(self):
        self._why = None
        self._held = _lock()
        self._held.acquire()

    def wait(self):
        self._held.acquire()
        return self._why

    def done(self, why):
        self._why = why
        self._held.release()


class Green:
    """What a cooperative thread waits for."""

    def __init__(self, eventlet):
        self._event = eventlet.event.Event()

    def wait(self):
        return self._event.wait()

    def done(self, why):
        self._event.send(why)


def plain(value):
    """What JSON does not know, as something that it does."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, (set, frozenset)):
        return list(value)
    return str(value)
