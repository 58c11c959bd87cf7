"""Waits."""

import random
import time

from st2common.runners.base_action import Action


class PauseAction(Action):
    """Returns the seconds that it waited for."""

    def run(self, max_pause, random=False):
        seconds = chosen(max_pause) if random else max_pause
        time.sleep(seconds)
        return seconds


def chosen(seconds_max):
    """A random time of at least a second; none at all where none is allowed."""
    return random.randint(1, seconds_max) if seconds_max >= 1 else 0
