"""What tests of everything in a pack have in common."""

import inspect
import os
import unittest

from hearken_python import service
from st2tests.spellings import OldSpellings

__all__ = ["BasePackResourceTestCase"]


class BasePackResourceTestCase(OldSpellings, unittest.TestCase):
    """A test that may read the files in `tests/fixtures` of its pack."""

    def get_fixture_content(self, fixture_path):
        """The text of a file in there."""
        path = os.path.join(self._get_base_pack_path(), "tests", "fixtures", fixture_path)
        with open(path, "r", encoding="utf-8") as file:
            return file.read()

    def _get_base_pack_path(self):
        """The folder of the pack: of the one that is tested, else what holds this test's folder."""
        file = os.path.abspath(inspect.getfile(self.__class__))
        here = service.here.folder
        if here and file.startswith(os.path.join(os.path.abspath(here), "")):
            return os.path.abspath(here)
        return os.path.dirname(os.path.dirname(file))
