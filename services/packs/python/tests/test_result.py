"""What becomes of what actions return."""

import json
import unittest

from hearken_python import result


class Odd:
    def __str__(self):
        return "odd"


class ResultTest(unittest.TestCase):
    def test_only_a_pair_has_a_status(self):
        for returned, expected in [
            (None, (None, None)),
            ((True, 1), (True, 1)),
            ((None, 1), (None, 1)),
            ([False, 1], (None, [False, 1])),
            ((1, 2, 3), (None, (1, 2, 3))),
        ]:
            self.assertEqual(result.split(returned), expected)
        for returned in [("yes", 1), (1, 1), ({}, 1)]:
            with self.assertRaises(result.InvalidStatus):
                result.split(returned)

    def test_what_json_cannot_say_becomes_its_text(self):
        for value, expected in [
            ({"a": (1, 2)}, {"a": [1, 2]}),
            (Odd(), "odd"),
            ({"a": {1}}, "{'a': {1}}"),
            ([float("inf"), {"x": float("nan")}], [None, {"x": None}]),
            ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
            ({(1, 2): 3}, "{(1, 2): 3}"),
            ("\ud800", "?"),
            ("zwölf", "zwölf"),
        ]:
            encoded = json.loads(result.encode(True, value))
            self.assertEqual(encoded, {"result": expected, "status": True})

    def test_what_never_ends_is_text(self):
        endless = []
        endless.append(endless)
        self.assertEqual(json.loads(result.encode(None, endless))["result"], "[[...]]")
