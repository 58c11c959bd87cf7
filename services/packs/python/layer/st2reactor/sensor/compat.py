"""Sensors that were written between the two generations."""

from st2reactor.sensor.base import PollingSensor, Sensor

__all__ = ["StackStormV05PollingSensorMixin", "StackStormV05SensorMixin"]


class _Old:
    """`start` and `stop` are what `run` and `cleanup` became."""

    @property
    def _container_service(self):
        return self._sensor_service

    def run(self):
        """Starts it."""
        self.start()

    def cleanup(self):
        """Stops it."""
        self.stop()


class StackStormV05SensorMixin(_Old, Sensor):
    """A sensor that waits."""


class StackStormV05PollingSensorMixin(_Old, PollingSensor):
    """A sensor that looks."""
