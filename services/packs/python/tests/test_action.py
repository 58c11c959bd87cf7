"""How the class of an action is found and made."""

import os
import sys
import tempfile
import unittest

from hearken_python import action, service
from hearken_python.config import Config

TEXT = """
from st2common.runners.base_action import Action as Modern
from st2actions.runners.pythonrunner import Action as Old

assert Modern is Old


class AHelper:
    pass


class Plain:
    def run(self):
        return 1


class Zeta(Modern):
    def run(self):
        return 2
"""


class ActionTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.modules = set(sys.modules)

    def tearDown(self):
        for name in set(sys.modules) - self.modules:
            del sys.modules[name]

    def load(self, text, name="act.py"):
        path = os.path.join(self.folder.name, name)
        with open(path, "w") as file:
            file.write(text)
        return action.load(path), path

    def test_the_first_class_that_runs_is_the_action(self):
        self.assertEqual(action.find(*self.load(TEXT)).__name__, "Plain")
        with self.assertRaisesRegex(LookupError, "act.py defines no action"):
            action.find(*self.load("from st2common.runners.base_action import Action\n"))

    def test_a_file_may_have_the_name_of_a_library(self):
        import json

        module, _path = self.load("class A:\n    def run(self): return 1\n", "json.py")
        self.assertIs(sys.modules["json"], json)
        self.assertEqual(module.A.__module__, "action_json")

    def test_what_was_read_ahead_is_read_again_when_it_has_changed(self):
        _module, path = self.load("VALUE = 1\n")
        self.addCleanup(action.CODES.clear)
        with open(os.path.join(self.folder.name, "broken.py"), "w") as file:
            file.write("broken(")
        action.read_ahead(self.folder.name)
        self.assertEqual(list(action.CODES), [path])
        self.assertEqual(action.load(path).VALUE, 1)
        with open(path, "w") as file:
            file.write("VALUE = 1000\n")
        self.assertEqual(action.load(path).VALUE, 1000)

    def test_every_kind_of_constructor_is_served(self):
        from st2common.runners.base_action import Action

        class Both(Action):
            def run(self):
                pass

        class ConfigOnly(Action):
            def __init__(self, config):
                super().__init__(config)

            def run(self):
                pass

        class Keywords(Action):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)

            def run(self):
                pass

        class Plain:
            def run(self):
                pass

        class Faulty(Action):
            def __init__(self, config, action_service=None):
                raise TypeError("a fault of its own")

            def run(self):
                pass

        config, offered = Config("shop", {"a": 1}), service.ActionService("X")
        for kind in (Both, ConfigOnly, Keywords, Plain):
            made = action.make(kind, config, offered)
            self.assertEqual(made.config["a"], 1)
            self.assertIs(made.action_service, offered)
            self.assertEqual(made.logger.name, "actions.python." + kind.__name__)
        with self.assertRaisesRegex(TypeError, "a fault of its own"):
            action.make(Faulty, config, offered)

    def test_a_configuration_says_where_to_put_what_is_missing(self):
        config = Config("shop", {"a": 1})
        self.assertIsNone(config.get("b"))
        with self.assertRaisesRegex(ValueError, "configs/shop.yaml"):
            config["b"]
