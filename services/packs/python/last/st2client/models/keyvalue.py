"""Keys of the datastore."""

from st2client.models.core import KeyValuePair

__all__ = ["KeyValuePair"]
