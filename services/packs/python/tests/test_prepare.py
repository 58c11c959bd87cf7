"""What is imported before a fork, and what is not."""

import os
import sys
import tempfile
import unittest

from hearken_python import prepare


class PrepareTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.makedirs(os.path.join(self.folder, "actions", "lib"))

    def write(self, path, text):
        with open(os.path.join(self.folder, path), "w") as file:
            file.write(text)

    def test_imports_are_those_of_loading(self):
        self.write(
            "actions/a.py",
            "import colorsys, os.path as p\n"
            "from wave import open as o\n"
            "from . import near\n"
            "try:\n    import one\nexcept ImportError:\n    import two\n"
            "if True:\n    from three.four import five\n"
            "def f():\n    import never\n",
        )
        self.write("actions/broken.py", "import (")
        found = prepare.imports(self.folder)
        self.assertEqual(found, {"colorsys", "os.path", "wave", "one", "two", "three.four"})

    def test_a_pack_s_own_libraries_and_delicate_ones_are_left_to_the_run(self):
        self.write("actions/a.py", "import colorsys, chunk_of_ours, numpy, no_such_library\n")
        self.write("actions/lib/chunk_of_ours.py", "raise SystemExit('not to be run')\n")
        sys.modules.pop("colorsys", None)
        before = set(sys.modules)
        prepare.import_what_actions_import(self.folder)
        new = set(sys.modules) - before
        self.assertIn("colorsys", new)
        self.assertFalse({"chunk_of_ours", "numpy"} & new)
        self.assertFalse(prepare.is_unsafe(self.folder, before))
        # A library of the pack would be hidden by what was imported.
        self.write("actions/lib/colorsys.py", "")
        self.assertTrue(prepare.is_unsafe(self.folder, before))
