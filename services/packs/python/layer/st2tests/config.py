"""The settings of tests. There are none, so there is nothing to read or to forget."""

__all__ = ["parse_args", "reset"]


def parse_args(args=None, **_options):
    """Nothing."""


def reset():
    """Nothing."""
