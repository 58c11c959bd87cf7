"""A run before the first one, in the prepared interpreter itself.

What the interpreter does for the first time costs more: it looks symbols and methods up, fills
caches, and rewrites the code of functions. Whatever happens before the fork need not happen, and
copy memory, in every run. What is rehearsed is an action of ours that does nothing; nothing of a
pack runs, and everything is as it was afterwards.
"""

import gc
import json
import logging
import os
import socket
import struct
import sys

from hearken_python import run, service

# Functions are rewritten when they are called for so many times.
TIMES = 8
# A variable of the environment that is set for each.
OWN = "HEARKEN_REHEARSAL"
FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nothing.py")


def play():
    """Runs the action that does nothing."""
    modules, places, arguments = set(sys.modules), list(sys.path), sys.argv
    loggers = logging.Logger.manager.loggerDict
    names, here = set(loggers), service.here
    for _ in range(TIMES):
        try:
            once()
        finally:
            for name in set(sys.modules) - modules:
                del sys.modules[name]
            for name in set(loggers) - names:
                del loggers[name]
            sys.path[:] = places
            sys.argv = arguments
            service.here = here
            os.environ.pop(OWN, None)
    # Not everything: that would empty the caches again.
    gc.collect(1)


def once():
    """One run, with a variable more than there is."""
    wanted = {
        "pack": "hearken",
        "folder": None,
        "file": FILE,
        "parameters": {},
        "config": {},
        "log_level": "DEBUG",
        "environment": {**run.BEFORE, OWN: "1"},
        "working_folder": None,
        "python_path": [],
    }
    body = json.dumps(wanted).encode()
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(struct.pack(">Q", len(body)) + body)
        run.perform(theirs.detach(), run.BEFORE["HEARKEN_RUN"])
