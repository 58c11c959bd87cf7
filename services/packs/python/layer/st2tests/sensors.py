"""Tests of sensors."""

from st2tests.mocks.sensor import MockSensorService, MockSensorWrapper
from st2tests.pack_resource import BasePackResourceTestCase

__all__ = ["BaseSensorTestCase"]


class BaseSensorTestCase(BasePackResourceTestCase):
    """A test of the class `sensor_cls`, which knows what it has dispatched."""

    sensor_cls = None

    def setUp(self):
        super().setUp()
        wrapper = MockSensorWrapper(pack="tests", class_name=self.sensor_cls.__name__)
        self.sensor_service = MockSensorService(sensor_wrapper=wrapper)

    def get_sensor_instance(self, config=None, poll_interval=None):
        """An instance; what is not given is left to its constructor."""
        given = {"sensor_service": self.sensor_service}
        if config:
            given["config"] = config
        if poll_interval is not None:
            given["poll_interval"] = poll_interval
        return self.sensor_cls(**given)

    def get_dispatched_triggers(self):
        """All that it has dispatched, in order."""
        return self.sensor_service.dispatched_triggers

    def get_last_dispatched_trigger(self):
        """The last of them."""
        return self.sensor_service.dispatched_triggers[-1]

    def assertTriggerDispatched(self, trigger, payload=None, trace_context=None):
        """It has dispatched this trigger, with this payload and context where they are given."""
        wanted = {"trigger": trigger}
        if payload:
            wanted["payload"] = payload
        if trace_context:
            wanted["trace_context"] = trace_context
        dispatched = self.get_dispatched_triggers()
        if any(all(item[key] == wanted[key] for key in wanted) for item in dispatched):
            return True
        raise AssertionError(
            'Trigger "%s" hasn\'t been dispatched with %r; what has: %r'
            % (trigger, {key: wanted[key] for key in wanted if key != "trigger"}, dispatched)
        )
