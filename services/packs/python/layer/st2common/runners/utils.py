"""Reading what a process prints while it runs."""

import logging

__all__ = [
    "get_action_class_instance",
    "get_logger_for_python_runner_action",
    "make_read_and_store_stream_func",
    "noop_func",
    "store_execution_output_data",
]


def get_action_class_instance(action_cls, config=None, action_service=None):
    """An instance of an action, whatever its constructor takes."""
    from hearken_python import action

    return action.make(action_cls, config, action_service)


def get_logger_for_python_runner_action(action_name, log_level="debug"):
    """The logger of an action."""
    from hearken_python import service
    from st2common.runners.base_action import logger_of

    service.here.log_level = log_level.upper()
    return logger_of(action_name)


def noop_func(*args, **kwargs):
    """Nothing."""


def store_execution_output_data(
    execution_db, action_db, data, output_type="output", timestamp=None
):
    """Output is kept by Hearken itself, as it is printed."""
    return None


def make_read_and_store_stream_func(execution_db, action_db, store_data_func):
    """A function that copies a stream, and gives every line to `store_data_func`."""

    def read(stream, buff):
        while True:
            line = stream.readline()
            if not line:
                return
            line = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
            try:
                buff.write(line)
                store_data_func(execution_db=execution_db, action_db=action_db, data=line)
            except (OSError, ValueError) as error:
                logging.getLogger(__name__).debug("a line of output is lost: %s", error)
                return

    return read
