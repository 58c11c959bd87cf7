"""Which run a process belongs to, where others can see it.

`/proc/<pid>/environ` shows the memory with which a program was started, not what became of its
environment. The prepared interpreter therefore writes the marker of a run over its own before the
fork, and its own again afterwards: the forked process shows the right one from its first moment.
Its own is long enough for any.

In between the prepared interpreter itself shows the marker of the run. That is harmless: whoever
ends a run by its marker has been told of the fork, and is told after the own one is back; and
whoever looks after what a crash has left ends both.
"""

import os

NAME = b"HEARKEN_RUN="


class Place:
    """Where the marker stands in our memory."""

    def __init__(self, memory, address, own):
        # Kept open, because opening it costs as much as all the rest. It is our memory that it
        # shows, even to a forked process, which must not keep it.
        self.memory = memory
        self._address = address
        self._own = own

    def show(self, text):
        """Puts `text` there, and blanks the rest."""
        if len(text) > len(self._own):
            raise ValueError("the marker is too long")
        os.pwrite(self.memory, text.ljust(len(self._own), b"\0"), self._address)

    def show_own(self):
        """Puts there what was there."""
        os.pwrite(self.memory, self._own, self._address)


def place():
    """Finds it."""
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
    own = environment[at : environment.index(b"\0", at)]
    memory = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
    found = Place(memory, start + at, own)
    # Said now rather than in a run: some sandboxes do not let a process write there.
    found.show_own()
    return found
