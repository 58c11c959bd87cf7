"""What an action returned, as JSON."""

import json
import math


ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class InvalidStatus(ValueError):
    """The first of two values says whether the action did well: only a boolean can."""


def split(returned):
    """Status and value: a pair is both, anything else is a value without a status."""
    if isinstance(returned, tuple) and len(returned) == 2:
        status, value = returned
        if status is not None and not isinstance(status, bool):
            raise InvalidStatus(
                "the action returned the status %r: a status is True or False. Either return the "
                "result alone, or a pair (status, result)" % (status,)
            )
        return status, value
    return None, returned


def encode(status, value):
    """The bytes of `{"result", "status"}`; what JSON cannot say becomes its text."""
    try:
        return dump({"result": value, "status": status})
    except (TypeError, ValueError, RecursionError):
        pass
    try:
        return dump({"result": finite(value), "status": status})
    except (TypeError, ValueError, RecursionError):
        return dump({"result": str(value), "status": status})


def dump(value):
    text = ENCODER.encode(value)
    # Half of a surrogate pair is no character.
    return text.encode("utf-8", "replace")


def finite(value):
    """Numbers that JSON does not know are null, as in StackStorm's own encoding."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value
