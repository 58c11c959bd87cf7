"""Makes a UUID."""

import uuid

from st2common.runners.base_action import Action

# By the names that the action's file allows.
KINDS = {"uuid1": uuid.uuid1, "uuid4": uuid.uuid4}


class GenerateUuidAction(Action):
    """Returns it as text."""

    def run(self, uuid_type="uuid4"):
        if uuid_type not in KINDS:
            raise ValueError("uuid_type is one of %s" % ", ".join(sorted(KINDS)))
        return str(KINDS[uuid_type]())
