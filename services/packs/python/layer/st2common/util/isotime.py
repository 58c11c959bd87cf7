"""Points in time as text in ISO 8601."""

import datetime
import re

from st2common.util import date as date_utils

__all__ = ["format", "parse", "validate"]

_FORM = re.compile(
    r"^\d{4}-\d{2}-\d{2}([T ])\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}(:?\d{2})?)?$"
)


def format(dt, usec=True, offset=True):
    """`2014-03-04T05:06:07.000001+00:00`, or with `Z`.

    Seconds of the epoch, and milliseconds of it, are times too.
    """
    if isinstance(dt, (int, float)) and not isinstance(dt, bool):
        # Eleven digits of seconds are the year 5138.
        seconds = dt / 1000.0 if dt >= 10**11 else dt
        dt = datetime.datetime.fromtimestamp(seconds, date_utils.UTC)
    dt = date_utils.convert_to_utc(dt)
    text = dt.strftime("%Y-%m-%dT%H:%M:%S.%f" if usec else "%Y-%m-%dT%H:%M:%S")
    return text + ("+00:00" if offset else "Z")


def validate(value, raise_exception=True):
    """Whether this is a time."""
    if isinstance(value, datetime.datetime) or _FORM.match(str(value)):
        return True
    if raise_exception:
        raise ValueError('"%s" is no time in ISO 8601.' % (value,))
    return False


def parse(value, preserve_original_tz=False):
    """The time that a text names."""
    if isinstance(value, datetime.datetime):
        return date_utils.convert_to_utc(value)
    validate(value)
    text = str(value)
    if not preserve_original_tz:
        return date_utils.parse(text)
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
