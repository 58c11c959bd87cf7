"""Tests of a pack that are written for pytest, run by pytest itself, told as `trial` tells them.

It is used where a file of tests names it; it is not among what every pack has.
"""

import os


def is_wanted(paths):
    """Whether one of these files, or a `conftest.py` beside them, names pytest."""
    folders = {os.path.dirname(path) for path in paths}
    beside = [os.path.join(folder, "conftest.py") for folder in folders]
    for path in paths + [path for path in beside if os.path.isfile(path)]:
        try:
            with open(path, "rb") as file:
                if b"pytest" in file.read():
                    return True
        except OSError:
            continue
    return False


def run(folder, only, result):
    """Runs all tests below `tests`, and answers how many there were."""
    import pytest

    # What it would keep for its next run has no place in a pack.
    options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    options += ["--rootdir", folder, os.path.join(folder, "tests")]
    pytest.main(options, plugins=[Plugin(only, result)])
    return result.count


class Plugin:
    """Hears of each test from pytest."""

    def __init__(self, only, result):
        self._only = only
        self._result = result
        self._phases = []

    def pytest_collection_modifyitems(self, items):
        """Leaves only those that are wanted."""
        if self._only is not None:
            items[:] = [item for item in items if self._only in "%s: %s" % self._split(item.nodeid)]

    def pytest_collectreport(self, report):
        """A file that cannot be imported, or does not want to be."""
        if report.passed or not report.nodeid:
            return
        file, name = self._split(report.nodeid)
        if self._only is None or self._only in file:
            self._result.file = file
            self._result.tell(name, "skipped" if report.skipped else "error", 0, text_of(report))

    def pytest_runtest_logstart(self, nodeid, location):
        """A test begins."""
        self._phases = []
        self._result.begin(*self._split(nodeid))

    def pytest_runtest_logreport(self, report):
        """A part of a test is over: what was set up, the test, what was torn down."""
        self._phases.append(report)

    def pytest_runtest_logfinish(self, nodeid, location):
        """A test is over."""
        outcome, why = "passed", ""
        for report in self._phases:
            if report.failed:
                outcome, why = "failed" if report.when == "call" else "error", text_of(report)
                break
            if report.skipped and not hasattr(report, "wasxfail"):
                outcome, why = "skipped", text_of(report)
        self._result.file, name = self._split(nodeid)
        seconds = sum(report.duration for report in self._phases)
        self._result.tell(name, outcome, seconds, why)

    def _split(self, nodeid):
        """The file and the name of a test."""
        file, _, name = nodeid.partition("::")
        return file, name.replace("::", ".")


def text_of(report):
    """Why a test is skipped or failed, and what it printed."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    printed = ["%s\n%s" % (title, text) for title, text in report.sections]
    return "\n".join([report.longreprtext] + printed)
