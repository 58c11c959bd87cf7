"""What a sensor may ask for, for tests."""

import logging
from unittest import mock

from hearken_python.sensor_service import SensorService

from st2common.models.api.trace import TraceContext
from st2tests.mocks.datastore import MockDatastoreService

__all__ = ["MockSensorService", "MockSensorWrapper"]


class MockSensorWrapper:
    """Which sensor is meant."""

    def __init__(self, pack, class_name):
        self._pack = pack
        self._class_name = class_name


class MockSensorService(SensorService):
    """Keeps what is dispatched. Its log is a mock, so that a test may ask what was written."""

    def __init__(self, sensor_wrapper):
        # Nothing of the service that publishes is set up: there is nobody to publish to.
        self._sensor_wrapper = sensor_wrapper
        self._logger = mock.Mock(spec=logging.RootLogger)
        self.dispatched_triggers = []
        self.datastore_service = MockDatastoreService(
            logger=self._logger,
            pack_name=sensor_wrapper._pack,
            class_name=sensor_wrapper._class_name,
        )

    def get_logger(self, name):
        """The mock, under any name."""
        return self._logger

    def dispatch(self, trigger, payload=None, trace_tag=None):
        """Keeps one, with a context if it is given a tag."""
        context = TraceContext(trace_tag=trace_tag) if trace_tag else None
        return self.dispatch_with_context(trigger, payload=payload, trace_context=context)

    def dispatch_with_context(self, trigger, payload=None, trace_context=None):
        """Keeps one."""
        item = {"trigger": trigger, "payload": payload, "trace_context": trace_context}
        self.dispatched_triggers.append(item)
        return item
