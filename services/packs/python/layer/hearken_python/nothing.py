"""The action that a prepared interpreter runs before any other."""

from st2common.runners.base_action import Action


class Nothing(Action):
    """Does nothing."""

    def run(self):
        """Returns nothing."""
