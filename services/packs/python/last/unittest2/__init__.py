"""`unittest2`, whose additions have long been in the standard library.

The real one cannot be imported by any Python that Hearken runs packs with.
"""

import unittest as _own
from unittest import *  # noqa: F403

from st2tests.spellings import OldSpellings

__all__ = list(_own.__all__)


class TestCase(OldSpellings, _own.TestCase):
    """A test case that knows the old names of assertions."""
