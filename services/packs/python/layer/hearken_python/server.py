"""The prepared interpreter: imports once, forks for each run.

The protocol is that of Hearken's `kit::process::Prepared`, over the socket that is standard input:

    we say   b"Y", or b"N" and why
    F        number (4 bytes), length (2), marker; three descriptors come along: fork
             we answer the number and the process id, or an error number below zero
    R        process id (4 bytes): reap it once it has ended, and not before
    the end  everything that was not to be reaped is killed, and so are we

This process runs nothing of a pack itself but the imports of libraries that its actions name, and
never sees what a run is given: that goes to the forked process over the first descriptor.

What a run costs is mostly memory: the first touch of a page after the fork copies it, on either
side. So what can be done before the fork is done there, once, and the loop does little.
"""

import errno
import gc
import importlib.util
import os
import select
import signal
import socket
import struct
import sys

from hearken_python import action, marker, prepare, rehearsal, run

# A pack's libraries that take longer to import than this are not imported in advance.
PREPARE_SECONDS = 60
# Bytes read at a time: a request or two, of which one at most is in flight, and few enough to come
# from memory that Python keeps for small things.
READ_BYTES = 448
DESCRIPTORS = 3
DESCRIPTORS_BYTES = socket.CMSG_LEN(DESCRIPTORS * 4)
# How often what is to be reaped, and has not ended, is looked at.
REAP_SECONDS = 0.1
# How long we stay when nothing runs and nobody asks. Hearken keeps us for as long as that and lets
# go of us at the next run of another pack; when there is none, this is what gives the memory back.
IDLE_SECONDS = 15 * 60


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
            opened = prepare.descriptors()
            prepare.import_what_actions_import(folder)
            if prepare.is_unsafe(folder, before) or prepare.descriptors() - opened:
                # Threads do not survive a fork, and what they held stays held; a connection would
                # be that of all runs at once: start again without the libraries.
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
    try:
        rehearsal.play()
    except Exception:
        pass  # Runs are dearer then; if they are wrong, too, they say so.
    # What is there now is never collected, so a collection in a child does not copy its pages.
    gc.freeze()
    control.sendall(b"Y")
    serve(control, place)


def ready(folder):
    """What is the same in every run is done here, once."""
    libraries = [os.path.join(folder, "actions", "lib"), os.path.join(folder, "lib")]
    actions = os.path.join(folder, "actions")
    run.remember([place for place in libraries if os.path.isdir(place)], actions)
    # Looking for what is nowhere reads every folder of the search path once and for all runs.
    importlib.util.find_spec("hearken_no_such_module")
    if os.path.isdir(actions):
        action.read_ahead(actions)


def serve(control, place):
    """Reads requests until the socket ends."""
    forked, leaving = set(), set()
    pending, descriptors = b"", []
    control.settimeout(IDLE_SECONDS)
    while True:
        # What was killed a moment ago may not have ended yet; nothing else announces that it has.
        while leaving and not select.select([control], [], [], REAP_SECONDS)[0]:
            reap(leaving, forked)
        try:
            data, ancillary, _flags, _address = control.recvmsg(
                READ_BYTES, DESCRIPTORS_BYTES, socket.MSG_CMSG_CLOEXEC
            )
        except socket.timeout:
            if forked:
                continue
            end(forked)
        except OSError:
            data, ancillary = b"", ()
        for _level, _kind, new in ancillary:
            descriptors.extend(struct.unpack("%di" % (len(new) // 4), new))
        if not data:
            end(forked)
        pending += data
        while pending:
            kind = pending[:1]
            if kind == b"R" and len(pending) >= 5:
                (pid,) = struct.unpack(">i", pending[1:5])
                pending = pending[5:]
                if not is_reaped(pid, forked):
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


def fork(control, number, text, place, given, forked):
    """Forks, and answers with the process id."""
    try:
        place.show(text)
        pid = os.fork()
    except OSError as error:
        pid = -(error.errno or 1)
    except ValueError:  # The marker is longer than ours.
        pid = -errno.E2BIG
    if pid == 0:
        # Nothing of this may return: the loop belongs to the parent.
        try:
            os.close(control.fileno())
            os.close(place.memory)
            become(text, given)
        finally:
            os._exit(70)
    place.show_own()
    if pid > 0:
        # It is told what to do after our answer, and does nothing before.
        try:
            os.setpgid(pid, pid)
        except OSError:
            pass  # It has ended already.
        forked.add(pid)
    for descriptor in given:
        os.close(descriptor)
    try:
        control.sendall(struct.pack(">Ii", number, pid))
    except OSError:
        end(forked)


def become(text, given):
    """What the forked process does: it takes over the three descriptors and runs."""
    channel, stdout, stderr = given
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)
    run.main(channel, text.decode())


def reap(leaving, forked):
    """Reaps what has ended of those that are leaving."""
    for pid in list(leaving):
        if is_reaped(pid, forked):
            leaving.discard(pid)


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
