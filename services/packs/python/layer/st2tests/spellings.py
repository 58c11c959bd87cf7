"""Assertions by names that Python has given up, or never had.

Tests of packs are older than the Python that they run on.
"""

import unittest

__all__ = ["OldSpellings"]

# Old name, today's name.
NAMES = {
    "assert_": "assertTrue",
    "assertAlmostEquals": "assertAlmostEqual",
    "assertEquals": "assertEqual",
    "assertItemsEqual": "assertCountEqual",
    "assertNotAlmostEquals": "assertNotAlmostEqual",
    "assertNotEquals": "assertNotEqual",
    "assertNotRegexpMatches": "assertNotRegex",
    "assertRaisesRegexp": "assertRaisesRegex",
    "assertRegexpMatches": "assertRegex",
    "failIf": "assertFalse",
    "failUnless": "assertTrue",
    "failUnlessEqual": "assertEqual",
}


class OldSpellings:
    """To be mixed into a test case."""


for _old, _new in NAMES.items():
    setattr(OldSpellings, _old, getattr(unittest.TestCase, _new))
