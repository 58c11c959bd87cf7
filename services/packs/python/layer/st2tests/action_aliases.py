"""Tests of action aliases: which words of a person mean what to an action."""

import json
import os

from st2common.exceptions.content import ParseException
from st2common.models.utils.action_alias_utils import (
    extract_parameters,
    extract_parameters_for_action_alias_db,
)
from st2tests.pack_resource import BasePackResourceTestCase

__all__ = ["BaseActionAliasTestCase"]


class BaseActionAliasTestCase(BasePackResourceTestCase):
    """A test of the alias called `action_alias_name`."""

    action_alias_name = None
    action_alias_db = None

    def setUp(self):
        super().setUp()
        if not self.action_alias_name:
            raise ValueError('"action_alias_name" says which alias is tested: give it in the class')
        self.action_alias_db = self._get_action_alias_db_by_name(self.action_alias_name)

    def assertCommandMatchesExactlyOneFormatString(self, format_strings, command):
        """One of these formats takes the command, and no other does."""
        matching = [each for each in format_strings if _takes(each, command)]
        if len(matching) == 1:
            return
        if matching:
            why = "matched multiple format strings: %s" % ", ".join(matching)
        else:
            why = "didn't match any of the provided format strings"
        raise AssertionError('Command "%s" %s' % (command, why))

    def assertExtractedParametersMatch(self, format_string, command, parameters):
        """This format of the alias makes these parameters of the command."""
        extracted = extract_parameters_for_action_alias_db(
            action_alias_db=self.action_alias_db, format_str=format_string, param_stream=command
        )
        self.assertEqual(
            extracted,
            parameters,
            'the command "%s" and the format "%s" make other parameters' % (command, format_string),
        )

    def _get_action_alias_db_by_name(self, name):
        folder = self._get_base_pack_path()
        manifest = _read(os.path.join(folder, "pack.yaml")) or {}
        pack = manifest.get("ref") or manifest.get("name") or os.path.basename(folder)
        place = os.path.join(folder, "aliases")
        for file in sorted(os.listdir(place)) if os.path.isdir(place) else ():
            said = _read(os.path.join(place, file))
            if isinstance(said, dict) and said.get("name") == name:
                return Alias(pack, said)
        raise ValueError('Alias with name "%s" not found in %s' % (name, place))


class Alias:
    """An alias as its file says it."""

    def __init__(self, pack, said):
        self.pack = said.get("pack") or pack
        self.name = said["name"]
        self.ref = "%s.%s" % (self.pack, self.name)
        self.description = said.get("description")
        self.enabled = said.get("enabled", True)
        self.action_ref = said.get("action_ref")
        self.formats = said.get("formats") or []
        self.ack = said.get("ack") or {}
        self.result = said.get("result") or {}
        self.extra = said.get("extra") or {}
        self.immutable_parameters = said.get("immutable_parameters") or {}

    def get_format_strings(self):
        """All formats: a text, or what a mapping has under `representation`."""
        found = []
        for each in self.formats:
            several = each.get("representation") if isinstance(each, dict) else None
            if isinstance(several, str):
                several = [several]
            found.extend(several or [each])
        return found

    def get_uid(self):
        """By which it is known."""
        return "action_alias:%s:%s" % (self.pack, self.name)


def _takes(format_string, command):
    try:
        extract_parameters(format_str=format_string, param_stream=command)
    except ParseException:
        return False
    return True


def _read(path):
    """A file of metadata; nothing when it is none, or is not there."""
    if not path.endswith((".yaml", ".yml", ".json")) or not os.path.isfile(path):
        return None
    with open(path, "r", encoding="utf-8") as file:
        text = file.read()
    if path.endswith(".json"):
        return json.loads(text)
    try:
        import yaml
    except ImportError:
        raise ImportError(
            "tests of aliases read YAML, and PyYAML is not installed: try hearken pack setup"
        ) from None
    return yaml.safe_load(text)
