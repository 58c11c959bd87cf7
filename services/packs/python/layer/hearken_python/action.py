"""Finds the class of an action and calls it."""

import importlib.util
import os
import sys

from hearken_python import service
from hearken_python.config import Config
from st2common.runners import base_action


def call(wanted):
    """Loads the file, makes an instance, and returns what `run` returned."""
    service.here = service.Here(wanted["pack"], wanted["folder"], wanted["log_level"])
    kind = find(load(wanted["file"]), wanted["file"])
    service.here.class_name = kind.__name__
    config = Config(wanted["pack"], wanted["config"])
    offered = service.ActionService(kind.__name__)
    made = make(kind, config, offered)
    return made.run(**wanted["parameters"])


# The code of files that were read before the fork, by path, with what tells that one has changed.
CODES = {}
# Files whose code is read in advance; packs with more have one that the others name.
CODES_MAX = 200


def read_ahead(folder):
    """Reads the code of the actions in `folder`, without running it."""
    for name in sorted(os.listdir(folder))[:CODES_MAX]:
        path = os.path.join(folder, name)
        if not name.endswith(".py"):
            continue
        try:
            state = state_of(path)
            loader = importlib.util.spec_from_file_location(name[:-3], path).loader
            CODES[path] = state, loader.get_code(name[:-3])
        except Exception:  # Whoever runs it is told.
            continue


def state_of(path):
    """What changes when a file does."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


def load(path):
    """The module of a file, under the file's name unless that is taken."""
    name = os.path.splitext(os.path.basename(path))[0]
    if name in sys.modules:
        # An action called `json` is not what others mean by that name.
        name = "action_" + name
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("%s is not a Python file" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    state, code = CODES.get(path, (None, None))
    if code is not None and state == state_of(path):
        exec(code, module.__dict__)
    else:
        spec.loader.exec_module(module)
    return module


def find(module, path):
    """The first class, by name, that the file defines and that can be run."""
    # Not `inspect.getmembers`, which costs a third of a fork.
    for kind in [vars(module)[name] for name in sorted(vars(module))]:
        if not isinstance(kind, type):
            continue
        if kind.__module__ == module.__name__ and callable(getattr(kind, "run", None)):
            return kind
    raise LookupError(
        "%s defines no action: a class with a method run, usually derived from "
        "st2common.runners.base_action.Action" % path
    )


def make(kind, config, offered):
    """An instance. Older classes take the configuration alone, and plain ones nothing."""
    try:
        made = kind(config=config, action_service=offered)
    except TypeError:
        if takes(kind, config=config, action_service=offered):
            raise
        made = kind(config=config) if takes(kind, config=config) or not is_plain(kind) else kind()
    if getattr(made, "action_service", None) is None:
        made.action_service = offered
    if getattr(made, "config", None) is None:
        made.config = config
    if getattr(made, "logger", None) is None:
        made.logger = base_action.logger_of(kind.__name__)
    return made


def takes(kind, **arguments):
    """Whether the constructor takes these arguments."""
    import inspect

    try:
        inspect.signature(kind).bind(**arguments)
    except (TypeError, ValueError):
        return False
    return True


def is_plain(kind):
    """Whether the class has no constructor of its own."""
    return kind.__init__ is object.__init__
