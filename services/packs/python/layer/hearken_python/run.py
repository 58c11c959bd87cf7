"""One run of an action: forked from the prepared interpreter, or in an interpreter of its own.

What is to be done comes over a socket, the channel: its length in eight bytes, the high one first,
and so many bytes of JSON:

    {"pack", "folder", "file", "parameters", "config", "log_level",
     "environment", "working_folder", "python_path"}

The result goes back in the same form, `{"result", "status"}`, before the process ends; there is
none when the action raised an exception, exited, or was ended. Standard output and error are the
action's own. Nothing of a run is on a command line, where others could read it.
"""

import atexit
import io
import json
import logging
import os
import struct
import sys
import threading
import time
import traceback

from hearken_python import action, result

# StackStorm's exit code for a status that is neither true nor false.
INVALID_STATUS = 220
# Bytes of the first reading: more than most runs are told, and too few to have a mapping of memory
# made for them.
READ_BYTES = 16 << 10
DECODER = json.JSONDecoder()
# Handlers of log lines that are ours or `logging`'s own, none of which keeps anything back.
HANDLERS = len(getattr(logging, "_handlerList", ()))
# The environment before a fork, which is asked faster than `os.environ`; empty without a fork.
BEFORE = {}
# Where modules are looked for since before the fork: the libraries, and the folder of the actions.
SEARCHED = []


def take_channel():
    """Standard input is the channel when an interpreter was started for the run."""
    return os.dup(0)


def main(channel, marker=None):
    """Runs what comes over the descriptor `channel`, and ends the process; never returns."""
    code = 70
    try:
        code = perform(channel, marker)
    except SystemExit as exit:
        code = exit_code(exit)
    except BaseException as error:
        report(error)
        code = 1
    finally:
        code = finish(code)
        os._exit(code)


def perform(channel, marker):
    """Does what the channel says."""
    wanted = receive(channel)
    if wanted is None:
        return 0  # Nobody waits for this run any more.
    if marker is None:
        # What is forked has these already. The standard input of an action is empty.
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        streams()
    surroundings(wanted, marker)
    returned = action.call(wanted)
    try:
        status, value = result.split(returned)
    except result.InvalidStatus as error:
        sys.stderr.write(str(error) + "\n")
        return INVALID_STATUS
    try:
        send(channel, result.encode(status, value))
    except OSError:
        pass  # Longer than is taken, or nobody takes it: the other end says so.
    os.close(channel)
    return 0


def receive(channel):
    """What is to be done; nothing when the other end is gone."""
    head = os.read(channel, READ_BYTES)
    while head and len(head) < 8:
        piece = os.read(channel, READ_BYTES)
        head = head + piece if piece else b""
    if not head:
        return None
    (length,) = struct.unpack(">Q", head[:8])
    body = head[8:]
    if len(body) < length:
        body = bytearray(length)
        body[: len(head) - 8] = head[8:]
        left = memoryview(body)[len(head) - 8 :]
        while left:
            count = os.readv(channel, [left])
            if not count:
                return None
            left = left[count:]
    return DECODER.raw_decode(body.decode("utf-8", "surrogatepass"))[0]


def send(channel, body):
    """The answer, as a whole."""
    left = memoryview(struct.pack(">Q", len(body)) + body)
    while left:
        left = left[os.write(channel, left) :]


def remember(libraries, folder):
    """What is the same in every run of a pack is done before the fork."""
    streams()
    search(libraries, folder)
    SEARCHED[:] = libraries, folder
    # Through JSON, so that all of it lies side by side in memory.
    BEFORE.update(json.loads(json.dumps(dict(os.environ))))
    if HANDLERS:
        # A run does it at its end, when it has handlers of its own.
        atexit.unregister(logging.shutdown)


def streams():
    """Text to the descriptors, each piece at once, whatever the language of this machine is."""
    for name, descriptor, errors in (
        ("stdin", 0, "surrogateescape"),
        ("stdout", 1, "surrogateescape"),
        ("stderr", 2, "backslashreplace"),
    ):
        raw = io.FileIO(descriptor, "rb" if descriptor == 0 else "wb", closefd=False)
        raw = io.BufferedReader(raw) if descriptor == 0 else raw
        stream = io.TextIOWrapper(raw, "utf-8", errors, write_through=descriptor != 0)
        setattr(sys, name, stream)
        setattr(sys, "__%s__" % name, stream)


def surroundings(wanted, marker):
    """Environment, folder and module search path of the run."""
    environment = wanted["environment"]
    before = BEFORE or dict(os.environ)
    marker = marker or before.get("HEARKEN_RUN")
    if marker is not None:
        environment["HEARKEN_RUN"] = marker
    # Most of it is as it was for the prepared interpreter; touching less copies less memory.
    for name in before:
        if name not in environment:
            del os.environ[name]
    for name, value in environment.items():
        if before.get(name) != value:
            os.environ[name] = value
    if before.get("TZ") != environment.get("TZ"):
        time.tzset()
    sys.argv = [wanted["file"]]
    searched = [wanted["python_path"], wanted["file"].rpartition("/")[0]]
    if searched != SEARCHED:
        search(*searched)
    if wanted["working_folder"] is not None:
        os.chdir(wanted["working_folder"])


def search(libraries, folder):
    """Where modules are found: the pack's libraries first, and the folder of the action last, so
    that an installed library of the same name as a file beside the action wins."""
    sys.path[:0] = [place for place in libraries if place not in sys.path]
    if folder not in sys.path:
        sys.path.append(folder)


def exit_code(exit):
    """The code that the interpreter would exit with."""
    code = exit.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write("%s\n" % (code,))
    return 1


def report(error):
    """The traceback, without the frames that are ours."""
    own = os.path.dirname(os.path.abspath(__file__))
    trace = error.__traceback__
    shown = trace
    while shown is not None and os.path.dirname(shown.tb_frame.f_code.co_filename) == own:
        shown = shown.tb_next
    try:
        lines = traceback.format_exception(type(error), error, shown or trace)
        sys.stderr.write("".join(lines))
    except Exception:
        pass


def finish(code):
    """What an interpreter does at its end, short of taking itself apart."""
    try:
        # Threads that are no daemons are waited for.
        if threading.active_count() > 1:
            threading._shutdown()
    except BaseException as error:
        report(error)
    try:
        atexit._run_exitfuncs()
    except SystemExit as exit:
        code = exit_code(exit)
    except BaseException:
        pass
    try:
        if BEFORE and HANDLERS and len(logging._handlerList) != HANDLERS:
            logging.shutdown()
    except BaseException:
        pass
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            code = code or 120
    return code
