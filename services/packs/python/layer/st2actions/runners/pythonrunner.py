"""Where the base class of actions was first."""

from st2common.runners.base_action import Action

__all__ = ["Action"]
