"""Which run a process belongs to, where others can see it.

`/proc/<pid>/environ` shows the memory with which a program was started, not what became of its
environment. A forked process therefore writes its marker over the one that the prepared interpreter
was started with, which is long enough for any.
"""

import os

NAME = b"HEARKEN_RUN="


def place():
    """Where the marker stands in our memory, and how much room it has."""
    with open("/proc/self/stat", "rb") as file:
        # Names may hold blanks and parentheses; numbers follow after the last one.
        fields = file.read().rpartition(b")")[2].split()
    # Fields 50 and 51 of proc(5); the first one here is field 3.
    start, end = int(fields[47]), int(fields[48])
    with open("/proc/self/environ", "rb") as file:
        environment = file.read(end - start)
    at = 0 if environment.startswith(NAME) else environment.find(b"\0" + NAME) + 1
    if at == 0 and not environment.startswith(NAME):
        raise RuntimeError("this process has no marker")
    at += len(NAME)
    room = environment.index(b"\0", at) - at
    written = start + at, room
    # Said now rather than in a run: some sandboxes do not let a process write there.
    write(written, environment[at : at + room])
    return written


def write(where, text):
    """Puts `text` there, and blanks the rest."""
    address, room = where
    if len(text) > room:
        raise RuntimeError("the marker is too long")
    descriptor = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, text.ljust(room, b"\0"), address)
    finally:
        os.close(descriptor)
