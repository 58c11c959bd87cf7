"""The logging of the standard library, with StackStorm's extra level."""

import logging
from logging import (
    CRITICAL,
    DEBUG,
    ERROR,
    FileHandler,
    Formatter,
    Handler,
    INFO,
    NOTSET,
    NullHandler,
    StreamHandler,
    WARNING,
    basicConfig,
    getLevelName,
)

__all__ = ["AUDIT", "getLogger", "level_of", "setup"]

# Above everything, so that it is always shown.
AUDIT = CRITICAL + 10
logging.AUDIT = AUDIT
logging.addLevelName(AUDIT, "AUDIT")


def _audit(self, message, *args, **kwargs):
    if self.isEnabledFor(AUDIT):
        self._log(AUDIT, message, args, **kwargs)


logging.Logger.audit = _audit


def getLogger(name=None):
    """A logger."""
    return logging.getLogger(name)


def level_of(name):
    """The number of a level; everything is shown at one that nobody knows."""
    level = logging.getLevelName(str(name or "DEBUG").upper())
    return level if isinstance(level, int) else DEBUG


def setup(config_file=None, **options):
    """Where log lines go is the business of whoever runs the pack."""
