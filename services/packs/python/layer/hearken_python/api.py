"""The HTTP API of Hearken, as StackStorm has it, with the standard library alone."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request

# How long an answer may take. What is asked here is looked up, not computed.
TIMEOUT_SECONDS = 60
# Bytes of an answer; more is no answer to anything that is asked here.
ANSWER_BYTES_MAX = 64 << 20


class ApiError(Exception):
    """The API refused, or is not there."""

    def __init__(self, message, status=None):
        super().__init__(message)
        self.status = status


class Api:
    """One API, and the token that it knows us by."""

    def __init__(self, url=None, token=None):
        environ = os.environ
        url = url or environ.get("ST2_ACTION_API_URL") or environ.get("ST2_API_URL")
        url = (url or "http://127.0.0.1:9101/v1").rstrip("/")
        # Both are in use: with the version, and without.
        self.url = url if url.endswith("/v1") else url + "/v1"
        self.token = token or environ.get("ST2_ACTION_AUTH_TOKEN") or environ.get("ST2_AUTH_TOKEN")
        # A proxy for the world is none for the API of the own machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, method, path, query=None, body=None, missing=None):
        """The answer as a value; `missing` when there is no such thing."""
        query = {key: text(value) for key, value in (query or {}).items() if value is not None}
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.token:
            headers["X-Auth-Token"] = self.token
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                said = answer.read(ANSWER_BYTES_MAX)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return missing
            raise ApiError(self._why(method, path, error), error.code) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ApiError("cannot reach the API at %s: %s" % (self.url, reason)) from None
        return json.loads(said) if said.strip() else None

    def _why(self, method, path, error):
        try:
            fault = json.loads(error.read(64 << 10)).get("faultstring")
        except (ValueError, AttributeError, OSError):
            fault = None
        why = "%s %s: %s %s" % (method, path, error.code, fault or error.reason)
        if error.code == 401 and not self.token:
            why += " (there is no ST2_ACTION_AUTH_TOKEN in the environment)"
        return why


def text(value):
    """A value of a query."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def quoted(name):
    """A part of a path; names may hold anything."""
    return urllib.parse.quote(str(name), safe="")
