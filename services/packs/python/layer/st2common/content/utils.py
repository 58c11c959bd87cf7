"""Where packs are."""

import os

from hearken_python import service

__all__ = [
    "get_aliases_base_paths",
    "get_entry_point_abs_path",
    "get_pack_base_path",
    "get_pack_common_libs_path_for_pack_ref",
    "get_pack_directory",
    "get_pack_file_abs_path",
    "get_packs_base_paths",
    "get_system_packs_base_path",
]


def get_system_packs_base_path():
    """The folder that holds the pack of this run."""
    return os.path.dirname(service.here.folder or os.getcwd())


def get_packs_base_paths():
    """Folders that hold packs."""
    return [get_system_packs_base_path()]


def get_aliases_base_paths():
    """None beside the packs."""
    return []


def get_pack_base_path(pack_name, include_trailing_slash=False, use_pack_cache=False):
    """The folder of a pack: of this run's, or of another one by its newest content."""
    if not pack_name:
        return None
    here = service.here.folder
    path = here if pack_name == service.here.pack and here else _other(pack_name)
    path = os.path.abspath(path)
    return path + os.path.sep if include_trailing_slash else path


def get_pack_directory(pack_name):
    """The folder of a pack."""
    return get_pack_base_path(pack_name)


def get_pack_file_abs_path(pack_ref, file_path, resource_type=None, use_pack_cache=False):
    """The place of a file of a pack; it may not lead out of it."""
    folder = "" if resource_type is None else resource_type + "s"
    base = os.path.realpath(os.path.join(get_pack_base_path(pack_ref), folder))
    path = os.path.realpath(os.path.join(base, file_path))
    if os.path.isabs(file_path) or os.path.commonpath([base, path]) != base:
        raise ValueError("%s leads out of the pack %s" % (file_path, pack_ref))
    return path


def get_entry_point_abs_path(pack=None, entry_point=None, use_pack_cache=False):
    """The place of an action's file."""
    if not entry_point or os.path.isabs(entry_point):
        return entry_point
    return os.path.join(get_pack_base_path(pack), "actions", entry_point)


def get_pack_common_libs_path_for_pack_ref(pack_ref, use_pack_cache=False):
    """The libraries that a pack's actions and sensors share."""
    return os.path.join(get_pack_base_path(pack_ref), "lib")


def _other(pack_name):
    """Content is unpacked to `<name>/<digest>`, beside that of this run."""
    beside = os.path.join(os.path.dirname(get_system_packs_base_path()), pack_name)
    try:
        found = [entry.path for entry in os.scandir(beside) if entry.is_dir()]
    except OSError:
        return beside
    return max(found, key=os.path.getmtime, default=beside)
