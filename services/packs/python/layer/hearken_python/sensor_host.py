"""The program that runs one sensor: a class of either generation, in a process of its own.

Standard input is the socket of `sensor_link`; its first line says what to run:

    {"pack", "folder", "file", "class_name", "config", "poll_interval", "environment", "triggers"}

The process ends with 0 when the sensor's work is over or it was told to stop, and with 1 after an
exception, which is on standard error. Standard output is the sensor's own.
"""

import os
import sys

LAYER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main():
    """Runs what the first line says; never returns."""
    # The folder of this file came first; modules of packs are not to be shadowed by ours.
    sys.path[0] = LAYER
    last = os.path.join(os.path.dirname(LAYER), "last")
    if last not in sys.path:
        sys.path.append(last)
    from hearken_python import run, sensor_link

    link = sensor_link.Link(os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    wanted = link.first()
    if wanted is None:
        os._exit(0)
    link.guard()
    code = 1
    try:
        os.environ.update(wanted["environment"])
        code = Host(link, wanted).work()
    except SystemExit as exit:
        code = run.exit_code(exit)
        if code:
            link.post({"error": "it exited with %s" % (exit.code,)})
    except BaseException as error:
        run.report(error)
        link.post({"error": ("%s: %s" % (type(error).__name__, error))[:4096]})
    finally:
        os._exit(run_out(code))


def run_out(code):
    """What an interpreter does at its end."""
    from hearken_python import run

    return run.finish(code)


class Host:
    """One sensor, from its file to its end."""

    def __init__(self, link, wanted):
        self.link = link
        self.wanted = wanted
        self.sensor = None
        self.is_ending = False
        # Before anything of the pack is imported, and before anything here waits.
        self.eventlet = cooperate()
        if self.eventlet is not None:
            link.cooperate(self.eventlet)

    def work(self):
        """Runs the sensor; returns when its work is over."""
        import logging
        import queue
        import time

        from hearken_python import service
        from hearken_python.config import Config
        from hearken_python.sensor_service import Lines, SensorService

        wanted, class_name = self.wanted, self.wanted["class_name"]
        logging.root.addHandler(Lines(self.link))
        logging.root.setLevel(logging.INFO)
        service.here = service.Here(wanted["pack"], wanted["folder"], "INFO", class_name)
        self.changes = queue.Queue()
        self.spawn(self.listen)
        terminated = self.link.until_terminated()
        self.spawn(lambda: (terminated(), self.end()))
        offered = SensorService(self.link, wanted["pack"], class_name)
        kind = find(load(wanted["file"]), class_name, wanted["file"])
        self.sensor = make(kind, offered, Config(wanted["pack"], wanted["config"]), wanted)
        if callable(getattr(self.sensor, "setup", None)):
            self.sensor.setup()
        types = getattr(self.sensor, "get_trigger_types", None)
        if callable(types):
            self.link.post({"register": list(types() or [])})
        for trigger in wanted["triggers"]:
            self.change("added", trigger)
        self.spawn(self.follow)
        self.link.post({"ready": True})
        if not is_first_generation(self.sensor):
            self.sensor.run()
            return 0
        # What it has scheduled goes on.
        self.sensor.start()
        while True:
            time.sleep(3600)

    def spawn(self, function):
        """A thread that keeps nobody waiting; a cooperative one where those are in use."""
        import threading

        thread = threading.Thread(target=function, daemon=True)
        thread.start()

    def listen(self):
        """Hears until Hearken is gone."""
        self.link.listen(self.changes.put)
        self.end(alone=True)

    def follow(self):
        """Passes changes of triggers on, in order."""
        import logging

        while True:
            change = self.changes.get()
            try:
                self.change(change["trigger"], change)
            except Exception:
                logging.exception("the change of a trigger could not be taken over")

    def change(self, what, trigger):
        """One change; sensors of the first years need not care."""
        name = {"added": "add_trigger", "updated": "update_trigger", "removed": "remove_trigger"}
        method = getattr(self.sensor, name.get(what, ""), None)
        if callable(method):
            method(trigger["object"])

    def end(self, alone=False):
        """Lets the sensor tidy up, and ends the process; with all that it started, when alone."""
        import signal

        from hearken_python import run

        if self.is_ending:
            return
        self.is_ending = True
        names = ("stop", "cleanup") if is_first_generation(self.sensor) else ("cleanup",)
        for name in names:
            method = getattr(self.sensor, name, None)
            if callable(method):
                try:
                    method()
                except BaseException as error:
                    run.report(error)
                break
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        if alone:
            os.killpg(0, signal.SIGKILL)
        os._exit(0)


def cooperate():
    """Turns eventlet on where it is installed, as sensors expect it."""
    import warnings

    try:
        with warnings.catch_warnings():
            # That eventlet is old is nothing that a sensor's log need say at each start.
            warnings.simplefilter("ignore")
            import eventlet
            import eventlet.event
            import eventlet.hubs
    except ImportError:
        return None
    from st2common.util.monkey_patch import monkey_patch

    monkey_patch(patch_thread=True)
    eventlet.spawn_after = either_order(eventlet.spawn_after)
    return eventlet


def either_order(spawn):
    """The first documentation gives the function before the seconds; both are accepted."""

    def spawn_after(seconds, function, *arguments, **named):
        if callable(seconds) and isinstance(function, (int, float)):
            seconds, function = function, seconds
        return spawn(seconds, function, *arguments, **named)

    return spawn_after


def load(path):
    """The module of a file; its folder is searched for what it imports."""
    import importlib.util

    folder = os.path.dirname(path)
    if folder not in sys.path:
        sys.path.append(folder)
    name = os.path.splitext(os.path.basename(path))[0]
    if name in sys.modules:
        # A sensor called `json` is not what others mean by that name.
        name = "sensor_" + name
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("%s is not a Python file" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def find(module, class_name, path):
    """The class of that name."""
    kind = getattr(module, class_name, None)
    if isinstance(kind, type):
        return kind
    own = [
        name
        for name, value in sorted(vars(module).items())
        if isinstance(value, type) and value.__module__ == module.__name__
    ]
    raise LookupError(
        "%s has no class %s; it has: %s" % (path, class_name, ", ".join(own) or "no class at all")
    )


def make(kind, offered, config, wanted):
    """An instance. What a constructor takes says its generation."""
    import inspect

    interval = wanted.get("poll_interval")
    named = {"sensor_service": offered, "config": config}
    ways = [((), dict(named, poll_interval=interval))] if interval else []
    ways += [
        ((), named),
        ((), {"sensor_service": offered}),
        ((offered, config), {}),
        ((offered,), {}),
    ]
    signature = inspect.signature(kind)
    for given, options in ways:
        try:
            signature.bind(*given, **options)
        except TypeError:
            continue
        made = kind(*given, **options)
        break
    else:
        raise TypeError(
            "%s cannot be made: its constructor takes neither (sensor_service, config) nor "
            "(container_service, config)" % kind.__name__
        )
    if interval and callable(getattr(made, "set_poll_interval", None)):
        made.set_poll_interval(interval)
    return made


def is_first_generation(sensor):
    """Whether it is started and goes on by itself, rather than run."""
    from st2reactor.sensor.compat import StackStormV05PollingSensorMixin, StackStormV05SensorMixin

    mixins = (StackStormV05SensorMixin, StackStormV05PollingSensorMixin)
    starts = callable(getattr(sensor, "start", None))
    return starts and (isinstance(sensor, mixins) or not callable(getattr(sensor, "run", None)))


if __name__ == "__main__":
    main()
