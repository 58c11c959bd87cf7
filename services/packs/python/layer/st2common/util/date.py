"""Points in time, all of them in UTC."""

import datetime

UTC = datetime.timezone.utc

__all__ = [
    "add_utc_tz",
    "append_milliseconds_to_time",
    "convert_to_utc",
    "get_datetime_utc_now",
    "parse",
]


def append_milliseconds_to_time(date, millis):
    """Sets the fraction of a second."""
    return date.replace(microsecond=int(millis * 1000))


def get_datetime_utc_now():
    """Now."""
    return datetime.datetime.now(UTC)


def add_utc_tz(value):
    """A time without a zone is in UTC."""
    return value.replace(tzinfo=UTC)


def convert_to_utc(value):
    """The same moment in UTC."""
    return add_utc_tz(value) if value.tzinfo is None else value.astimezone(UTC)


def parse(value):
    """A time of a text in ISO 8601, or in what `dateutil` reads where it is installed."""
    text = str(value).strip()
    try:
        found = datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in "Zz" else text)
    except ValueError:
        try:
            from dateutil import parser
        except ImportError:
            raise ValueError("%r is no time in ISO 8601" % (value,)) from None
        found = parser.parse(text)
    return convert_to_utc(found)
