#!/usr/bin/env python3
"""Prints the processes that match, as JSON: SEARCH CRITERIA [pidlist]

Runs on other hosts, with whatever Python they have and nothing besides.
"""

import json
import os
import re
import sys

# Longest command line that is told: some programs are given whole files.
COMMAND_CHARS_MAX = 4096


def main(arguments):
    """Prints them."""
    if len(arguments) < 2 or arguments[0] not in ("state", "name", "pid"):
        sys.exit("usage: check_processes.py state|name|pid CRITERIA [pidlist]")
    search, criteria = arguments[:2]
    try:
        is_wanted = wanted(search, criteria)
    except re.error as error:
        sys.exit("%s is no expression: %s" % (criteria, error))
    own = os.path.basename(__file__)
    found = {}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        process = read(pid)
        # This script, and shells that run it, have the criteria in their command lines.
        if process and own not in process["command"] and is_wanted(process):
            found[str(pid)] = process["command"]
    if "pidlist" in arguments[2:]:
        sys.stderr.write(" ".join(found))
    print(json.dumps(found))


def wanted(search, criteria):
    """Tells whether a process is one that is looked for."""
    if search == "name":
        expression = re.compile(criteria)
        return lambda process: expression.search(process["command"]) is not None
    return lambda process: process[search] == criteria


def read(pid):
    """What the kernel tells of a process; None when it has ended meanwhile."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as file:
            stat = file.read()
        with open("/proc/%d/cmdline" % pid, encoding="utf-8", errors="replace") as file:
            command = file.read(COMMAND_CHARS_MAX)
    except OSError:
        return None
    # The name is in parentheses and may hold any, so what follows is found from the end.
    start, _, rest = stat.rpartition(")")
    name = start.partition("(")[2]
    # Threads of the kernel have no command line.
    command = command.replace("\0", " ").strip() or "[%s]" % name
    return {"pid": str(pid), "state": rest.split()[0], "command": command}


if __name__ == "__main__":
    main(sys.argv[1:])
