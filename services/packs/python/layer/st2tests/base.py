"""The base classes of tests, by the names that packs use."""

import os
import shutil
import unittest

from st2tests.action_aliases import BaseActionAliasTestCase
from st2tests.actions import BaseActionTestCase
from st2tests.http import FakeResponse
from st2tests.pack_resource import BasePackResourceTestCase
from st2tests.sensors import BaseSensorTestCase

__all__ = [
    "BaseActionAliasTestCase",
    "BaseActionTestCase",
    "BasePackResourceTestCase",
    "BaseSensorTestCase",
    "CleanFilesTestCase",
    "EventletTestCase",
    "FakeResponse",
]

# Base classes that stand on the services of StackStorm itself.
ELSEWHERE = frozenset(
    "BaseDbTestCase CleanDbTestCase DbModelTestCase DbTestCase ExecutionDbTestCase "
    "IntegrationTestCase RunnerTestCase WorkflowTestCase".split()
)


class EventletTestCase(unittest.TestCase):
    """A test of what runs on cooperative threads, where eventlet is installed."""

    @classmethod
    def setUpClass(cls):
        from st2common.util.monkey_patch import monkey_patch

        super().setUpClass()
        monkey_patch()


class CleanFilesTestCase(unittest.TestCase):
    """A test that removes its files, before and after."""

    to_delete_files = []
    to_delete_directories = []

    def setUp(self):
        super().setUp()
        self._delete_files()

    def tearDown(self):
        super().tearDown()
        self._delete_files()

    def _delete_files(self):
        for path in self.to_delete_files:
            if os.path.lexists(path):
                os.remove(path)
        for path in self.to_delete_directories:
            shutil.rmtree(path, ignore_errors=True)


def __getattr__(name):
    if name in ELSEWHERE:
        raise ImportError(
            "st2tests.base.%s needs StackStorm's own database or services: tests of packs have the "
            "classes %s" % (name, ", ".join(__all__))
        )
    raise AttributeError("module %r has no attribute %r" % (__name__, name))
