"""What can be wrong with what packs hold."""

__all__ = ["ParseException"]


class ParseException(ValueError):
    """It cannot be understood."""
