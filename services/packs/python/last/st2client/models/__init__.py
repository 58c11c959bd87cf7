"""What crosses the API."""

from st2client.models.core import (
    Action,
    Execution,
    KeyValuePair,
    LiveAction,
    Resource,
    Rule,
    Sensor,
    Trigger,
    TriggerType,
)

__all__ = [
    "Action",
    "Execution",
    "KeyValuePair",
    "LiveAction",
    "Resource",
    "Rule",
    "Sensor",
    "Trigger",
    "TriggerType",
]
