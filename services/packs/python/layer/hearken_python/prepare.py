"""Imports what the actions of a pack import, as far as that is safe to do before a fork.

Only libraries: modules of the standard library and of the interpreter's site-packages. The pack's
own modules run in each run, with its environment. A library that starts threads cannot be forked
after, one that opens a connection or a file would share it among all runs, one that the pack brings
under the same name would be shadowed, and one that fails now may work later; none of this is an
error, the run does the import then.
"""

import ast
import importlib
import os
import sys
import threading
import time
import warnings

# Files looked at; packs with more are generated, and their files import the same.
FILES_MAX = 200
# Bytes of a file; longer ones are tables.
FILE_BYTES_MAX = 256 << 10
# How long importing in advance may take altogether; what is left is imported in each run.
SECONDS_MAX = 20.0
# Libraries that change the interpreter, or may only begin their work in the process that uses them.
NOT_BEFORE_A_FORK = frozenset(
    "antigravity eventlet gevent grpc multiprocessing numpy this torch twisted".split()
)


def import_what_actions_import(folder):
    """Imports them, the cheapest way to have them in each run."""
    due = time.monotonic() + SECONDS_MAX
    own = own_names(folder)
    for name in sorted(imports(folder)):
        root = name.partition(".")[0]
        if root in own or root in NOT_BEFORE_A_FORK or name in sys.modules:
            continue
        if time.monotonic() > due:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(name)
        except BaseException:  # A library may even try to exit.
            continue


def is_unsafe(folder, before):
    """Whether runs would find something else than in a fresh interpreter."""
    if threading.active_count() > 1 or len(os.listdir("/proc/self/task")) > 1:
        return True
    own = own_names(folder)
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    return bool(own & new) or bool(NOT_BEFORE_A_FORK & new)


def descriptors():
    """What this process has open."""
    return set(os.listdir("/proc/self/fd"))


def own_names(folder):
    """What a pack's own libraries are called: these come before those of the interpreter."""
    names = set()
    for place in (os.path.join(folder, "actions", "lib"), os.path.join(folder, "lib")):
        try:
            entries = os.listdir(place)
        except OSError:
            continue
        names.update(entry.partition(".")[0] for entry in entries)
    return names


def imports(folder):
    """Names of the modules that the pack's action files import when they are loaded."""
    found = set()
    for path in python_files(os.path.join(folder, "actions")):
        try:
            with open(path, "rb") as file:
                text = file.read(FILE_BYTES_MAX + 1)
            if len(text) > FILE_BYTES_MAX:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        found.update(imported(tree.body))
    return found


def python_files(folder):
    """The files, the libraries of the pack among them, in a fixed order."""
    count = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                count += 1
                if count > FILES_MAX:
                    return
                yield os.path.join(place, name)


def imported(statements):
    """Modules that these statements import, those within `try` and `if` too."""
    for statement in statements:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield alias.name
        elif isinstance(statement, ast.ImportFrom):
            if statement.module and not statement.level:
                yield statement.module
        elif isinstance(statement, (ast.Try, ast.If)):
            yield from imported(statement.body)
            yield from imported(statement.orelse)
            for handler in getattr(statement, "handlers", []):
                yield from imported(handler.body)
