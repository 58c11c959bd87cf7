"""The prepared interpreter: imports once, forks for each run.

The protocol is that of Hearken's `kit::process::Prepared`, over the socket that is standard input:

    we say   b"Y", or b"N" and why
    F        number (4 bytes), length (2), marker; three descriptors come along: fork
             we answer the number and the process id, or an error number below zero
    R        process id (4 bytes): reap it once it has ended, and not before
    the end  everything that was not to be reaped is killed, and so are we

This process runs nothing of a pack itself but the imports of libraries that its actions name, and
never sees what a run is given: that goes to the forked process over the first descriptor.
"""

import gc
import importlib.util
import os
import select
import signal
import socket
import struct
import sys

from hearken_python import action, marker, prepare, run

# A pack's libraries that take longer to import than this are not imported in advance.
PREPARE_SECONDS = 60
# Bytes read at a time: hundreds of requests, of which one at most is in flight.
READ_BYTES = 64 << 10
DESCRIPTORS = 3
# How often what is to be reaped, and has not ended, is looked at.
REAP_SECONDS = 0.1


def main(folder, bare):
    """Prepares for the actions in `folder`, then forks until the socket ends."""
    # Whoever waits for us may be killed meanwhile; until the socket is read, this is our end.
    signal.alarm(PREPARE_SECONDS)
    control = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    try:
        before = set(sys.modules)
        if not bare:
            prepare.import_what_actions_import(folder)
            if prepare.is_unsafe(folder, before):
                # Threads do not survive a fork, and what they held stays held: start again without
                # the libraries.
                os.dup2(control.fileno(), 0, inheritable=True)
                own = os.path.join(os.path.dirname(__file__), "__main__.py")
                flags = ["-u", "-B"] if sys.dont_write_bytecode else ["-u"]
                command = [sys.executable, *flags, own, "serve", folder, "bare"]
                os.execv(sys.executable, command)
        place = marker.place()
        ready(folder)
    except Exception as error:  # What is wrong is told; the runs are started one by one then.
        control.sendall(b"N" + repr(error).encode("utf-8", "replace"))
        return
    signal.alarm(0)
    gc.collect()
    # What is there now is never collected, so a collection in a child does not copy its pages.
    gc.freeze()
    control.sendall(b"Y")
    serve(control, place)


def ready(folder):
    """What is the same in every run is done here, once."""
    run.streams()
    libraries = [os.path.join(folder, "actions", "lib"), os.path.join(folder, "lib")]
    actions = os.path.join(folder, "actions")
    run.search([place for place in libraries if os.path.isdir(place)], actions)
    # Looking for what is nowhere reads every folder of the search path once and for all runs.
    importlib.util.find_spec("hearken_no_such_module")
    if os.path.isdir(actions):
        action.read_ahead(actions)


def serve(control, place):
    """Reads requests until the socket ends."""
    forked, leaving = set(), set()
    pending, descriptors = b"", []
    while True:
        # What was killed a moment ago may not have ended yet; nothing else announces that it has.
        while leaving and not select.select([control], [], [], REAP_SECONDS)[0]:
            leaving = {pid for pid in leaving if not is_reaped(pid, forked)}
        try:
            data, new, _flags, _address = socket.recv_fds(
                control, READ_BYTES, DESCRIPTORS * 8, socket.MSG_CMSG_CLOEXEC
            )
        except OSError:
            data, new = b"", []
        descriptors.extend(new)
        if not data:
            end(forked)
        pending += data
        while pending:
            kind = pending[:1]
            if kind == b"R" and len(pending) >= 5:
                (pid,) = struct.unpack(">i", pending[1:5])
                pending = pending[5:]
                leaving.add(pid)
            elif kind == b"F" and len(pending) >= 7:
                number, length = struct.unpack(">IH", pending[1:7])
                if len(pending) < 7 + length:
                    break
                text, pending = pending[7 : 7 + length], pending[7 + length :]
                given, descriptors = descriptors[:DESCRIPTORS], descriptors[DESCRIPTORS:]
                fork(control, number, text, place, given, forked)
            elif kind in (b"R", b"F"):
                break
            else:
                end(forked)
        leaving = {pid for pid in leaving if not is_reaped(pid, forked)}


def fork(control, number, text, place, given, forked):
    """Forks, and answers with the process id."""
    try:
        pid = os.fork()
    except OSError as error:
        pid = -(error.errno or 1)
    if pid == 0:
        # Nothing of this may return: the loop belongs to the parent.
        try:
            os.setpgid(0, 0)
            control.close()
            become(text, place, given)
        finally:
            os._exit(70)
    if pid > 0:
        try:
            os.setpgid(pid, pid)
        except OSError:
            pass  # It has done so itself.
        forked.add(pid)
    for descriptor in given:
        os.close(descriptor)
    try:
        control.sendall(struct.pack(">Ii", number, pid))
    except OSError:
        end(forked)


def become(text, place, given):
    """What the forked process does: it takes over the three descriptors and runs."""
    marker.write(place, text)
    os.dup2(given[1], 1)
    os.dup2(given[2], 2)
    for descriptor in given[1:]:
        os.close(descriptor)
    run.main(given[0], text.decode())


def is_reaped(pid, forked):
    """Reaps a process if it has ended."""
    try:
        reaped, _status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        reaped = pid
    if reaped == pid:
        forked.discard(pid)
    return reaped == pid


def end(forked):
    """Hearken is gone, or wants us gone: nothing of ours stays."""
    for pid in forked:
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            pass
    os._exit(0)
