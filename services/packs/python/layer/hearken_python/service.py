"""What an action may ask Hearken for, and where it runs."""


class Here:
    """The run of this process."""

    def __init__(self, pack="", folder=None, log_level="DEBUG", class_name=""):
        self.pack = pack
        self.folder = folder
        self.log_level = log_level
        self.class_name = class_name


# Set once, before anything of the pack is loaded.
here = Here()


class ActionService:
    """The datastore and the user, for one action."""

    def __init__(self, class_name):
        self._class_name = class_name
        self._datastore = None

    @property
    def datastore_service(self):
        """The datastore itself; made when it is first needed."""
        if self._datastore is None:
            from hearken_python.keys import Datastore

            self._datastore = Datastore(here.pack, self._class_name)
        return self._datastore

    def get_user_info(self):
        """Who is asking."""
        return self.datastore_service.get_user_info()

    def list_values(self, local=True, prefix=None, limit=None, offset=0):
        """Keys with name and value."""
        return self.datastore_service.list_values(
            local=local, prefix=prefix, limit=limit, offset=offset
        )

    def get_value(self, name, local=True, scope="system", decrypt=False):
        """The text that a key holds, or None."""
        return self.datastore_service.get_value(name, local=local, scope=scope, decrypt=decrypt)

    def set_value(self, name, value, ttl=None, local=True, scope="system", encrypt=False):
        """Keeps a value."""
        return self.datastore_service.set_value(
            name, value, ttl=ttl, local=local, scope=scope, encrypt=encrypt
        )

    def delete_value(self, name, local=True, scope="system"):
        """Removes a key; whether there was one."""
        return self.datastore_service.delete_value(name, local=local, scope=scope)
