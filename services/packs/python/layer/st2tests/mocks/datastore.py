"""A datastore that lives as long as a test."""

from hearken_python.keys import SEPARATOR, SYSTEM_SCOPE, KeyValuePair

from st2common.services.datastore import BaseDatastoreService

__all__ = ["MockDatastoreService"]


class MockDatastoreService(BaseDatastoreService):
    """Keys by name; values stay what they are."""

    def __init__(self, logger, pack_name, class_name, api_username=None):
        super().__init__(pack_name=pack_name, class_name=class_name)
        self._pack_name = pack_name
        self._class_name = class_name
        self._username = api_username or "admin"
        self._logger = logger
        self._datastore_items = {}

    def get_user_info(self):
        """Somebody who may do everything."""
        return {
            "username": self._username,
            "rbac": {"is_admin": True, "enabled": True, "roles": ["admin"]},
            "authentication": {"method": "authentication token", "location": "header"},
        }

    def list_values(self, local=True, limit=None, prefix=None, offset=0):
        """Keys by the beginning of their names."""
        begin = (self._prefix + SEPARATOR if local else "") + (prefix or "")
        found = [item for name, item in self._datastore_items.items() if name.startswith(begin)]
        return found

    def get_value(self, name, local=True, scope=SYSTEM_SCOPE, decrypt=False):
        """What a key holds, or None."""
        item = self._datastore_items.get(self._name(name, local))
        return None if item is None else item.value

    def set_value(self, name, value, ttl=None, local=True, scope=SYSTEM_SCOPE, encrypt=False):
        """Keeps a value, until the test is over whatever `ttl` says."""
        name = self._name(name, local)
        item = KeyValuePair(id=name, name=name, value=value)
        if ttl:
            self._logger.warning("the datastore of tests does not let keys expire")
            item.ttl = ttl
        self._datastore_items[name] = item
        return True

    def delete_value(self, name, local=True, scope=SYSTEM_SCOPE):
        """Whether there was such a key."""
        return self._datastore_items.pop(self._name(name, local), None) is not None
