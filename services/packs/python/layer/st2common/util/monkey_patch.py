"""Cooperative threads, where eventlet is installed."""

import sys

__all__ = ["is_use_debugger_flag_provided", "monkey_patch", "use_select_poll_workaround"]


def monkey_patch(patch_thread=None):
    """Makes the standard library yield; without eventlet, threads are threads."""
    try:
        import eventlet
    except ImportError:
        return
    if patch_thread is None:
        patch_thread = not is_use_debugger_flag_provided()
    eventlet.monkey_patch(os=True, select=True, socket=True, thread=patch_thread, time=True)


def use_select_poll_workaround(nose_only=True):
    """Not needed."""


def is_use_debugger_flag_provided():
    """Whether a debugger asks for real threads."""
    return "--use-debugger" in sys.argv
