"""Files that tests bring along: what is in `tests/fixtures` of the pack."""

import os

from hearken_python import service
from st2tests.action_aliases import _read

__all__ = [
    "FixturesLoader",
    "get_fixtures_base_path",
    "get_fixtures_packs_base_path",
    "get_resources_base_path",
]


def get_fixtures_base_path():
    """The folder of all."""
    return os.path.join(service.here.folder or os.getcwd(), "tests", "fixtures")


def get_fixtures_packs_base_path():
    """The folder of those that are packs themselves."""
    return os.path.join(get_fixtures_base_path(), "packs")


def get_resources_base_path():
    """The folder of what is no fixture."""
    return os.path.join(os.path.dirname(get_fixtures_base_path()), "resources")


class FixturesLoader:
    """Reads fixtures by pack, kind and name."""

    def get_fixture_file_path_abs(self, fixtures_pack, fixtures_type, fixture_name):
        """Where one is."""
        base = get_fixtures_base_path()
        return os.path.join(base, fixtures_pack, fixtures_type, fixture_name)

    def load_fixtures(self, fixtures_pack="generic", fixtures_dict=None):
        """Mappings of names to contents, by kind."""
        found = {}
        for kind, names in (fixtures_dict or {}).items():
            found[kind] = {
                name: _read(self.get_fixture_file_path_abs(fixtures_pack, kind, name))
                for name in names
            }
        return found
