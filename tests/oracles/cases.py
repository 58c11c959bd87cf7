"""Cases for the oracles: what Python itself says about patterns and templates.

Prints one JSON line for each case: the rule, the event, and what is expected of them.
"""
import fnmatch
import itertools
import json
import random
import re
import sys

import jinja2.sandbox

SEED, COUNT = int(sys.argv[1]), int(sys.argv[2])
choose = random.Random(SEED)

PIECES = ["a", "b", "1", "-", " ", "\n", "é", "Z", "_", "ab"]
ATOMS = ["a", "b", r"\d", r"\w", r"\s", ".", "[a-c]", "[^a]", r"\b", "(a|b)", "(?:ab)", "(?P<n>a)", r"\W", "é", "$", "^"]
REPEATS = ["", "", "*", "+", "?", "{1,2}", "*?", "+?"]
AROUND = ["", "", "(?i)", "(?=a)", "(?!b)", "(?<=a)", r"\A"]
GLOBS = ["*", "?", "[ab]", "[!a]", "a", "b", "1", "-", "[", "]", "é"]
FILTERS = ["upper", "lower", "length", "title", "capitalize", "trim", "reverse", "replace('a','o')", "string", "first", "last"]
LISTS = ["join(',')", "length", "first", "last", "sort | join('')", "unique | join('')", "min", "max"]
NUMBERS = ["abs", "int", "float", "round", "string", "default(7)"]


def text():
    return "".join(choose.choice(PIECES) for _ in range(choose.randrange(0, 7)))


def regex():
    head = choose.choice(AROUND)
    return head + "".join(
        choose.choice(ATOMS) + choose.choice(REPEATS) for _ in range(choose.randrange(1, 4))
    )


def pattern_case(n):
    operator = choose.choice(["regex", "iregex", "matchregex", "matchwildcard"])
    value = text()
    if operator == "matchwildcard":
        pattern = "".join(choose.choice(GLOBS) for _ in range(choose.randrange(1, 5)))
        expected = fnmatch.fnmatchcase(value, pattern)
    else:
        pattern = regex()
        try:
            if operator == "matchregex":
                expected = re.match(pattern, value, re.DOTALL) is not None
            else:
                flags = re.IGNORECASE if operator == "iregex" else 0
                expected = re.search(pattern, value, flags) is not None
        except re.error:
            expected = "error"
    criteria = {"trigger.t": {"type": operator, "pattern": pattern}}
    return rule(criteria, {}), {"t": value}, {"verdict": expected}


def template_case(n):
    payload = {
        "t": "".join(choose.choice("abc xyz") for _ in range(choose.randrange(1, 8))),
        "n": choose.randrange(-20, 20),
        "l": [choose.choice("abcd") for _ in range(choose.randrange(1, 5))],
        "b": choose.random() < 0.5,
    }
    parts = []
    for _ in range(choose.randrange(1, 4)):
        parts.append(choose.choice([
            "{{ trigger.t | %s }}" % choose.choice(FILTERS[:6] + FILTERS[7:]),
            "{{ trigger.l | %s }}" % choose.choice(LISTS),
            "{{ trigger.n | %s }}" % choose.choice(NUMBERS),
            "{{ trigger.n %s %d }}" % (choose.choice(["+", "-", "*", "//", "%", "**"]), choose.randrange(1, 5)),
            "{%% if trigger.n > %d and trigger.b %%}yes{%% else %%}no{%% endif %%}" % choose.randrange(-5, 5),
            "{% for x in trigger.l %}{{ loop.index }}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}",
            "{{ trigger.missing | default('none') }}",
            "{{ trigger.t[%d:%d] }}" % (choose.randrange(0, 3), choose.randrange(3, 6)),
            "{{ 'a' in trigger.t }} {{ trigger.l is iterable }} {{ trigger.n is odd }}",
            "{{ trigger.t.upper() }}{{ trigger.t.split(' ') | length }}",
            "{{ (trigger.n, trigger.b) | join('/') }}",
        ]))
    template = "v " + " ".join(parts)
    environment = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined)
    try:
        expected = environment.from_string(template).render(trigger=payload)
    except Exception:
        expected = None
    return rule({}, {"m": template}), payload, {"m": expected}


def rule(criteria, parameters):
    return {
        "name": "oracle",
        "pack": "oracle",
        "trigger": {"type": "oracle.event"},
        "criteria": criteria,
        "action": {"ref": "oracle.action", "parameters": parameters},
    }


for n in range(COUNT):
    made = (pattern_case if n % 2 else template_case)(n)
    case, payload, expected = made
    event = {"trigger": "oracle.event", "payload": payload}
    print(json.dumps({"rule": case, "event": event, "expected": expected}))
