"""The datastore, for actions and sensors."""

from hearken_python.keys import Datastore

__all__ = ["ActionDatastoreService", "BaseDatastoreService", "SensorDatastoreService"]


class BaseDatastoreService(Datastore):
    """Keys of everybody, and those of one class of one pack."""

    DATASTORE_NAME_SEPARATOR = ":"

    def __init__(self, logger=None, pack_name=None, class_name=None, api_username=None, **_options):
        super().__init__(pack_name, class_name)


class ActionDatastoreService(BaseDatastoreService):
    """For actions."""


class SensorDatastoreService(BaseDatastoreService):
    """For sensors."""
