"""What can be wrong with an action."""

__all__ = ["InvalidActionParameterException", "InvalidActionReferenceError"]


class InvalidActionReferenceError(ValueError):
    """No reference is like that."""

    def __init__(self, ref):
        super().__init__("%s is no reference of an action: that is pack.name" % (ref,))
        self.ref = ref


class InvalidActionParameterException(Exception):
    """No such parameter, or not such a value."""


class ParameterRenderingFailedException(Exception):
    """A parameter is a template that cannot be rendered."""
