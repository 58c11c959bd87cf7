"""The base classes of sensors."""

import abc
import time

__all__ = ["BaseSensor", "PollingSensor", "Sensor"]


class BaseSensor(metaclass=abc.ABCMeta):
    """What both kinds have in common."""

    def __init__(self, sensor_service, config=None):
        self._sensor_service = sensor_service
        self._config = {} if config is None else config
        # Both spellings are in use.
        self.sensor_service = self._sensor_service
        self.config = self._config

    @abc.abstractmethod
    def setup(self):
        """Called once, before anything else."""

    @abc.abstractmethod
    def run(self):
        """Called once, and does the work until it is over."""

    @abc.abstractmethod
    def cleanup(self):
        """Called at the end."""

    @abc.abstractmethod
    def add_trigger(self, trigger):
        """A trigger of one of the sensor's types exists from now on."""

    @abc.abstractmethod
    def update_trigger(self, trigger):
        """Its parameters have changed."""

    @abc.abstractmethod
    def remove_trigger(self, trigger):
        """It is gone."""


class Sensor(BaseSensor):
    """A sensor that waits for what comes."""


class PollingSensor(BaseSensor):
    """A sensor that looks every few seconds."""

    def __init__(self, sensor_service, config=None, poll_interval=5):
        super().__init__(sensor_service=sensor_service, config=config)
        self._poll_interval = poll_interval

    @abc.abstractmethod
    def poll(self):
        """Looks once."""

    def run(self):
        """Looks for ever."""
        while True:
            self.poll()
            time.sleep(self._poll_interval)

    def get_poll_interval(self):
        """Seconds between two looks."""
        return self._poll_interval

    def set_poll_interval(self, poll_interval):
        """Changes them from the next look on."""
        self._poll_interval = poll_interval
