"""The program that runs a pack's own unit tests.

Standard input is one line of JSON that says what to do:

    {"pack", "folder", "only"}

Standard output is ours alone, a line of JSON for each step; what tests print goes to standard
error, or with the test's failure:

    {"began": "Case.test_x", "file": "tests/test_x.py"}
    {"file", "name", "outcome", "seconds", "message"}
    {"over": 7}

Outcomes are `passed`, `failed`, `error` and `skipped`. Without the last line the tests ended the
process. Files are found and imported as pytest does it, which is what packs are tested with
elsewhere: `test_*.py` and `*_test.py` below `tests`, classes that derive from `TestCase` unless
`__test__` says no, functions and classes whose names say that they are tests. Where tests name
pytest and it is installed, it runs them itself (`trial_pytest`).
"""

import importlib.util
import inspect
import io
import json
import os
import sys
import traceback
import unittest
from time import perf_counter

LAYER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Files of tests, and folders looked into; whoever has more has put something else there.
FILES_MAX = 2000
FOLDERS_MAX = 5000
# Letters of a message, from both ends: the assertion stands last, or what was printed does.
MESSAGE_CHARS_MAX = 8000
# Letters of a name; those of classes and functions are shorter.
NAME_CHARS_MAX = 500


def main():
    """Runs the tests; never returns."""
    wanted = json.loads(sys.stdin.readline())
    say = take_output()
    folder = wanted["folder"]
    os.chdir(folder)
    search(folder)
    # Those who wait for the end are not to wait for threads that tests have left behind.
    code = 1
    try:
        from hearken_python import service

        service.here = service.Here(wanted["pack"], folder)
        say({"over": run(folder, wanted.get("only"), say)})
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        os._exit(code)


def take_output():
    """A function that writes a line to what is standard output now, and will not be any more."""
    own = os.dup(1)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    # Tests replace what they find in modules; these are taken before.
    write, dumps = os.write, json.dumps

    def say(message):
        left = dumps(message).encode() + b"\n"
        while left:
            left = left[write(own, left) :]

    return say


def search(folder):
    """Where modules are found: as st2-run-pack-tests has it, and what is offered in the end."""
    parts = [os.path.join(folder, "lib"), LAYER]
    parts += [os.path.join(folder, *part.split("/")) for part in PARTS]
    own = os.path.dirname(os.path.abspath(__file__))
    rest = [place for place in sys.path if place not in (own, LAYER, "")]
    sys.path[:] = [folder] + parts + rest + [os.path.join(os.path.dirname(LAYER), "last")]
    # Programs that tests start find the same.
    os.environ["PYTHONPATH"] = os.pathsep.join(parts)


PARTS = ("sensors", "actions", "actions/lib", "etc")


def run(folder, only, say):
    """Imports all files, runs their tests, and answers how many there were."""
    from hearken_python import trial_pytest

    result = Told(say)
    paths = files(os.path.join(folder, "tests"))
    if trial_pytest.is_wanted(paths) and importlib.util.find_spec("pytest") is not None:
        return trial_pytest.run(folder, only, result)
    suites = []
    for path in paths:
        shown = os.path.relpath(path, folder)
        try:
            tests = list(collect(load(path)))
        except unittest.SkipTest as skip:
            result.file = shown
            result.tell("", "skipped", 0, str(skip))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # Without the frames that are not the pack's: ours, and those that import.
            if only is None or only in shown:
                result.file = shown
                result.tell("", "error", 0, "".join(told(error)))
        else:
            chosen = [test for test in tests if only is None or only in label(shown, test)]
            suites.append((shown, unittest.TestSuite(chosen)))
    for shown, suite in suites:
        result.file = shown
        suite.run(result)
    return result.count


def files(folder):
    """The files that hold tests, in a fixed order."""
    found = []
    for count, (place, folders, names) in enumerate(os.walk(folder)):
        if count >= FOLDERS_MAX:
            break
        hidden = ("__pycache__", "node_modules", "venv")
        folders[:] = sorted(n for n in folders if n[0] != "." and n not in hidden)
        for name in names:
            stem, ending = os.path.splitext(name)
            if ending == ".py" and (stem.startswith("test_") or stem.endswith("_test")):
                found.append(os.path.join(place, name))
    return sorted(found)[:FILES_MAX]


def load(path):
    """The module of a file, under the name that others of its package know it by."""
    place, name = os.path.dirname(path), os.path.splitext(os.path.basename(path))[0]
    while os.path.isfile(os.path.join(place, "__init__.py")):
        place, package = os.path.split(place)
        name = package + "." + name
    if place in sys.path:
        sys.path.remove(place)
    sys.path.insert(0, place)
    known = sys.modules.get(name)
    if known is not None and os.path.abspath(getattr(known, "__file__", "") or "") != path:
        # An action of the same name, or a file of another folder.
        del sys.modules[name]
    return importlib.import_module(name)


def collect(module):
    """The tests of a module, in the order in which it has them."""
    for name, value in list(vars(module).items()):
        if not getattr(value, "__test__", True):
            continue
        if isinstance(value, type):
            if issubclass(value, unittest.TestCase):
                yield from unittest.defaultTestLoader.loadTestsFromTestCase(value)
            elif name.startswith("Test") and value.__init__ is object.__init__:
                methods = [each for each in vars(value) if each.startswith("test")]
                yield from (Plain(method_of(value, each), name + "." + each) for each in methods)
        elif name.startswith("test") and inspect.isfunction(value):
            yield Plain(lambda value=value: (value, None), name)


def method_of(kind, name):
    """Makes an object of a plain class for one test, and answers its method and the object."""

    def make():
        instance = kind()
        return getattr(instance, name), instance

    return make


class Plain(unittest.TestCase):
    """A function, or a method of a class that derives from nothing."""

    def __init__(self, make, name):
        super().__init__("runTest")
        self._make = make
        self.label = name

    def runTest(self):
        function, instance = self._make()
        # What decorators add is no argument that anybody has to give.
        parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
        given = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        needed = [p.name for p in parameters if p.default is p.empty and p.kind not in given]
        if needed or hasattr(function, "pytestmark"):
            raise TypeError(
                "this test wants what only pytest gives (%s): make it a method of a class that "
                "derives from unittest.TestCase" % (", ".join(needed) or "marks")
            )
        for name in ("setup_method", "setUp"):
            call(getattr(instance, name, None), function)
        try:
            function()
        finally:
            for name in ("teardown_method", "tearDown"):
                call(getattr(instance, name, None), function)


def call(function, argument):
    """Calls what there is, with the argument where it takes one."""
    if function is not None:
        takes = inspect.signature(function).parameters
        function(*[argument][: len(takes)])


def label(file, test):
    """What a test is known by."""
    return "%s: %s" % (file, name_of(test))


def name_of(test):
    """Class and method; what is no test (the set-up of a class) says what it is."""
    if isinstance(test, Plain):
        return test.label
    method = getattr(test, "_testMethodName", None)
    return "%s.%s" % (type(test).__name__, method) if method else str(test)


class Told(unittest.TestResult):
    """Tells each result when there is one."""

    def __init__(self, say):
        super().__init__()
        # What a test prints is shown if it fails.
        self.buffer = True
        self.file = ""
        self.count = 0
        self._say = say
        self._began = None
        self._outcome = None

    def tell(self, name, outcome, seconds, message):
        """One result."""
        self.count += 1
        if len(message) > MESSAGE_CHARS_MAX:
            half = MESSAGE_CHARS_MAX // 2
            message = message[:half] + "\n[…]\n" + message[-half:]
        said = {"file": self.file, "name": name[:NAME_CHARS_MAX], "outcome": outcome}
        self._say(dict(said, seconds=round(seconds, 3), message=message))

    def begin(self, file, name):
        """A test begins."""
        self._say({"began": name[:NAME_CHARS_MAX], "file": file})

    def startTest(self, test):
        self.begin(self.file, name_of(test))
        self._outcome = None
        super().startTest(test)
        self._began = perf_counter()

    def stopTest(self, test):
        seconds = perf_counter() - self._began
        super().stopTest(test)
        outcome, message = self._outcome or ("passed", "")
        self._began = None
        self.tell(name_of(test), outcome, seconds, message)

    def _take(self, test, outcome, message):
        if self._began is None:
            # The set-up of a class or a module, which is no test.
            self.tell(name_of(test), outcome, 0, message)
        elif self._outcome is None or self._outcome[0] == "skipped":
            self._outcome = outcome, message
        else:
            self._outcome = self._outcome[0], self._outcome[1] + "\n" + message

    def addError(self, test, err):
        super().addError(test, err)
        self._take(test, "error", self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._take(test, "failed", self.failures[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            is_failure = issubclass(err[0], test.failureException)
            message = (self.failures if is_failure else self.errors)[-1][1]
            which = subtest._subDescription()
            self._take(test, "failed" if is_failure else "error", which + "\n" + message)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._take(test, "skipped", str(reason))

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._take(test, "failed", "it was expected to fail, and passes")


def told(error):
    """A traceback that begins with the pack."""
    trace = error.__traceback__
    while trace is not None and is_of_importing(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    # A file that cannot be read at all has no frame of its own.
    return traceback.format_exception(type(error), error, trace)


def is_of_importing(file):
    """Whether a frame is ours, or one of those that import."""
    return file.startswith("<frozen importlib") or file in (__file__, importlib.__file__)


if __name__ == "__main__":
    # Tests write for people; whatever the language of this machine is.
    for _stream in (sys.stdout, sys.stderr):
        if isinstance(_stream, io.TextIOWrapper):
            _stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    main()
