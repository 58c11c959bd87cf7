"""What a sensor may ask Hearken for: `sensor_service`, once called `container_service`."""

import logging

from hearken_python.keys import Datastore

# Longest message of a log line; the rest of it is dropped.
MESSAGE_CHARS_MAX = 8 << 10


class SensorService:
    """Events, logging, and the datastore."""

    def __init__(self, link, pack, class_name):
        self._link = link
        self._class_name = class_name
        self._logger = self.get_logger("service")
        self.datastore_service = Datastore(pack, class_name)

    def get_logger(self, name):
        """A logger whose lines Hearken shows with the sensor's name."""
        return logging.getLogger("%s.%s" % (self._class_name, name))

    def dispatch(self, trigger, payload=None, trace_tag=None):
        """Publishes an event, and returns when it is stored.

        `trigger` is a text (`pack.name`, or the `ref` of a trigger that `add_trigger` got), or a
        mapping. What cannot be published is logged and dropped: no exception comes out of this.
        """
        event = {"trigger": trigger, "payload": {} if payload is None else payload}
        if trace_tag:
            event["trace_tag"] = str(trace_tag)
        try:
            why = self._link.tell(event)
        except (TypeError, ValueError) as error:
            # Hearken hears of it by this line alone, which becomes the sensor's last error.
            self._logger.error("the event %s is dropped: %s", trigger, error)
            return None
        if why is not None:
            self._logger.warning("the event %s is dropped: %s", trigger, why)
        return None

    def dispatch_with_context(self, trigger, payload=None, trace_context=None):
        """As `dispatch`; the context may hold a trace tag, or else the id of a trace."""
        context = trace_context if isinstance(trace_context, dict) else {}
        tag = context.get("trace_tag") or context.get("id_")
        tag = tag or getattr(trace_context, "trace_tag", None)
        tag = tag or getattr(trace_context, "id_", None)
        return self.dispatch(trigger, payload=payload, trace_tag=tag)

    def get_user_info(self):
        """Who is asking."""
        return self.datastore_service.get_user_info()

    def list_values(self, local=True, limit=None, prefix=None, offset=0):
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


class Lines(logging.Handler):
    """Log lines over the link."""

    def __init__(self, link):
        super().__init__()
        self._link = link
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record):
        """Sends one; a line that cannot be sent is no reason to stop."""
        try:
            message = self.format(record)[:MESSAGE_CHARS_MAX]
            line = {"level": record.levelname, "logger": record.name, "message": message}
            self._link.post({"log": line})
        except Exception:
            self.handleError(record)
