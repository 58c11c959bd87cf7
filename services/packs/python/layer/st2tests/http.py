"""An answer of an HTTP server that nobody asked."""

import json

__all__ = ["FakeResponse"]


class FakeResponse:
    """A text, a status and its reason."""

    def __init__(self, text, status_code, reason, *_others):
        self.text = text
        self.status_code = status_code
        self.reason = reason

    def json(self):
        """The text as a value."""
        return json.loads(self.text)

    def raise_for_status(self):
        """Always fails: whoever wants an answer that is good gives one that is never asked."""
        raise Exception(self.reason)
