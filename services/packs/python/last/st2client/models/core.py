"""A resource is what its attributes are."""


class Resource:
    """Anything that the API knows."""

    def __init__(self, *_arguments, **attributes):
        self.__dict__.update(attributes)

    def serialize(self):
        """What is sent of it."""
        return {key: value for key, value in self.__dict__.items() if value is not None}

    def to_dict(self, exclude_attributes=None):
        """Its attributes."""
        left_out = exclude_attributes or ()
        return {key: value for key, value in self.__dict__.items() if key not in left_out}

    @classmethod
    def deserialize(cls, document):
        """What the API said."""
        return cls(**document)

    def __repr__(self):
        return "<%s %s>" % (type(self).__name__, self.__dict__)


class Action(Resource):
    """What can be run."""


class Execution(Resource):
    """What was asked to run."""


class LiveAction(Resource):
    """What is to be run."""


class KeyValuePair(Resource):
    """A key of the datastore."""


class Rule(Resource):
    """What leads to what."""


class Sensor(Resource):
    """What watches."""


class Trigger(Resource):
    """What may happen."""


class TriggerType(Resource):
    """A kind of what may happen."""
