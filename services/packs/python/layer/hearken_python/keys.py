"""The datastore, as actions and sensors use it."""

from hearken_python.api import Api, quoted

SYSTEM_SCOPE = "system"
# Between the owner of local keys and their name.
SEPARATOR = ":"


class KeyValuePair:
    """A key and what it holds."""

    def __init__(self, **attributes):
        self.name = None
        self.value = None
        self.scope = SYSTEM_SCOPE
        self.__dict__.update(attributes)

    def __repr__(self):
        return "<KeyValuePair name=%s,scope=%s>" % (self.name, self.scope)


class Datastore:
    """Keys of everybody, and local ones, which belong to one class of one pack."""

    def __init__(self, pack, class_name, api=None):
        self._prefix = "%s.%s" % (pack, class_name)
        self._api = api

    def api(self):
        """Made when it is first needed: most actions never ask."""
        if self._api is None:
            self._api = Api()
        return self._api

    def list_values(self, local=True, prefix=None, limit=None, offset=0):
        """Keys by the beginning of their names, local ones unless said otherwise."""
        if local:
            prefix = self._prefix + SEPARATOR + (prefix or "")
        query = {"prefix": prefix, "limit": limit, "offset": offset or None}
        found = self.api().ask("GET", "/keys", query, missing=[])
        return [KeyValuePair(**item) for item in found or []]

    def get_value(self, name, local=True, scope=SYSTEM_SCOPE, decrypt=False):
        """The text that a key holds, or None."""
        query = {"scope": scope, "decrypt": decrypt or None}
        found = self.api().ask("GET", "/keys/" + quoted(self._name(name, local)), query)
        return None if found is None else found.get("value")

    def set_value(self, name, value, ttl=None, local=True, scope=SYSTEM_SCOPE, encrypt=False):
        """Keeps a value as text, for `ttl` seconds if said."""
        name = self._name(name, local)
        body = {"id": name, "name": name, "value": str(value), "scope": scope}
        if encrypt:
            body["secret"] = True
        if ttl:
            body["ttl"] = ttl
        self.api().ask("PUT", "/keys/" + quoted(name), {"scope": scope}, body)
        return True

    def delete_value(self, name, local=True, scope=SYSTEM_SCOPE):
        """Whether there was such a key."""
        path = "/keys/" + quoted(self._name(name, local))
        gone = object()
        return self.api().ask("DELETE", path, {"scope": scope}, missing=gone) is not gone

    def get_user_info(self):
        """Who is asking, as the API knows him."""
        return self.api().ask("GET", "/user")

    def _name(self, name, local):
        return self._prefix + SEPARATOR + str(name) if local else str(name)
