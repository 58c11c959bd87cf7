"""Asks a name server with dig."""

import random
import subprocess

from st2common.runners.base_action import Action

# dig itself gives up after about 15 seconds for each server.
TIMEOUT_SECONDS = 120


class DigAction(Action):
    """Returns the lines that dig prints."""

    def run(
        self, hostname, rand=False, count=0, nameserver=None, queryopts="short", querytype="A"
    ):
        try:
            command = line(hostname, nameserver, queryopts, querytype)
            ended = subprocess.run(
                command, capture_output=True, timeout=TIMEOUT_SECONDS, text=True, check=False
            )
        except ValueError as error:
            return False, str(error)
        except FileNotFoundError:
            return False, "dig is not installed: it is in the package dnsutils or bind-utils"
        except subprocess.TimeoutExpired:
            return False, "dig took more than %d seconds" % TIMEOUT_SECONDS
        if ended.returncode:
            return False, (ended.stderr + ended.stdout).strip()
        answers = read(ended.stdout, querytype)
        if 0 < count < len(answers):
            answers = answers[:count]
        if rand:
            random.shuffle(answers)
        return answers


def line(hostname, nameserver, queryopts, querytype):
    """The command line. What begins like an option is none of a name's."""
    for name in (hostname, nameserver or "", querytype):
        if name[:1] in ("-", "+", "@"):
            raise ValueError("%r is no name" % name)
    server = ["@" + nameserver] if nameserver else []
    options = ["+" + option for option in (queryopts or "").split(",") if option]
    return ["dig"] + server + options + [hostname, querytype]


def read(text, querytype):
    """The answers, one by line; texts without their quotes."""
    if querytype.lower() == "txt":
        text = text.replace('"', "")
    return [answer for answer in text.split("\n") if answer]
