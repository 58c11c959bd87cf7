"""The base class of Python actions."""

import abc
import sys

from hearken_python import service
from hearken_python.config import Config
from st2common import log as logging

__all__ = ["Action"]


class ToStandardError(logging.StreamHandler):
    """Writes to what standard error is at that moment."""

    def __init__(self):
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter("%(name)s: %(levelname)s %(message)s"))

    @property
    def stream(self):
        """Where lines go."""
        return sys.stderr


# Made when this is imported, which for most runs is before they begin.
HANDLER = ToStandardError()


def logger_of(name):
    """The logger of an action: to standard error, from the level that its runner was given."""
    logger = logging.getLogger("actions.python." + name)
    if not logger.handlers:
        logger.addHandler(HANDLER)
    level = logging.level_of(service.here.log_level)
    logger.setLevel(level)
    HANDLER.setLevel(level)
    # The root belongs to the action; a line is not to appear twice when it has handlers.
    logger.propagate = False
    return logger


def pack_of(action_service):
    """The pack of an action: of this run's, unless a test gives it a service of another."""
    wrapper = getattr(action_service, "_action_wrapper", None)
    return getattr(wrapper, "_pack", None) or service.here.pack


class Action(metaclass=abc.ABCMeta):
    """What actions derive from: `run` does the work and returns the result."""

    description = None

    def __init__(self, config=None, action_service=None):
        if not isinstance(config, Config):
            config = Config(pack_of(action_service), config)
        self.config = config
        self.action_service = action_service
        self.logger = logger_of(self.__class__.__name__)

    @abc.abstractmethod
    def run(self, **kwargs):
        """Does the work."""
