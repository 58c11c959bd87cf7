"""Finds the class of an action and calls it."""

import importlib.util
import inspect
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
    spec.loader.exec_module(module)
    return module


def find(module, path):
    """The first class, by name, that the file defines and that can be run."""
    for _name, kind in inspect.getmembers(module, inspect.isclass):
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
    try:
        inspect.signature(kind).bind(**arguments)
    except (TypeError, ValueError):
        return False
    return True


def is_plain(kind):
    """Whether the class has no constructor of its own."""
    return kind.__init__ is object.__init__
