"""What an action may ask for, for tests."""

import logging
from unittest import mock

from hearken_python.service import ActionService

from st2tests.mocks.datastore import MockDatastoreService

__all__ = ["MockActionService", "MockActionWrapper"]


class MockActionWrapper:
    """Which action is meant."""

    def __init__(self, pack, class_name):
        self._pack = pack
        self._class_name = class_name


class MockActionService(ActionService):
    """The datastore of one test. Its log is a mock, so that a test may ask what was written."""

    def __init__(self, action_wrapper):
        super().__init__(action_wrapper._class_name)
        self._action_wrapper = action_wrapper
        self._logger = mock.Mock(spec=logging.RootLogger)
        self._datastore_service = MockDatastoreService(
            logger=self._logger,
            pack_name=action_wrapper._pack,
            class_name=action_wrapper._class_name,
        )

    @property
    def datastore_service(self):
        """The datastore itself."""
        return self._datastore_service

    def get_logger(self, name):
        """The mock, under any name."""
        return self._logger
