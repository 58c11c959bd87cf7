"""One run of an action: forked from the prepared interpreter, or in an interpreter of its own.

What is to be done comes over a socket, the channel: its length in eight bytes, the high one first,
and so many bytes of JSON:

    {"pack", "folder", "file", "parameters", "config", "log_level",
     "environment", "working_folder", "python_path"}

The result goes back in the same form, `{"result", "status"}`, before the process ends; there is none
when the action raised an exception, exited, or was ended. Standard output and error are the
action's own. Nothing of a run is on a command line, where others could read it.
"""

import atexit
import io
import json
import os
import socket
import struct
import sys
import threading
import time
import traceback

from hearken_python import action, result

# StackStorm's exit code for a status that is neither true nor false.
INVALID_STATUS = 220


def take_channel():
    """Standard input is the channel when an interpreter was started for the run."""
    return socket.socket(fileno=os.dup(0))


def main(channel, marker=None):
    """Runs and ends the process; never returns."""
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
    # The standard input of an action is empty.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    wanted = receive(channel)
    if wanted is None:
        return 0  # Nobody waits for this run any more.
    streams()
    surroundings(wanted, marker)
    returned = action.call(wanted)
    try:
        status, value = result.split(returned)
    except result.InvalidStatus as error:
        sys.stderr.write(str(error) + "\n")
        return INVALID_STATUS
    body = result.encode(status, value)
    try:
        channel.sendall(struct.pack(">Q", len(body)) + body)
    except OSError:
        pass  # Longer than is taken, or nobody takes it: the other end says so.
    channel.close()
    return 0


def receive(channel):
    """What is to be done; nothing when the other end is gone."""
    with channel.makefile("rb") as file:
        length = file.read(8)
        if len(length) < 8:
            return None
        (count,) = struct.unpack(">Q", length)
        body = file.read(count)
    return json.loads(body) if len(body) == count else None


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
    environment = dict(wanted["environment"])
    if marker is None:
        marker = os.environ.get("HEARKEN_RUN")
    if marker is not None:
        environment["HEARKEN_RUN"] = marker
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = [wanted["file"]]
    ahead = [place for place in wanted["python_path"] if place not in sys.path]
    sys.path[:0] = ahead
    folder = os.path.dirname(wanted["file"])
    # Last, so that an installed library of the same name wins.
    if folder not in sys.path:
        sys.path.append(folder)
    if wanted["working_folder"] is not None:
        os.chdir(wanted["working_folder"])


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
        threading._shutdown()
    except BaseException as error:
        report(error)
    try:
        atexit._run_exitfuncs()
    except SystemExit as exit:
        code = exit_code(exit)
    except BaseException:
        pass
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            code = code or 120
    return code
