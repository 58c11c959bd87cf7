"""Settings that packs read; there are no others."""

from st2common.content import utils

__all__ = ["CONF"]


class _Content:
    """Where packs are."""

    @property
    def system_packs_base_path(self):
        """The folder that holds the pack of this run."""
        return utils.get_system_packs_base_path()

    packs_base_paths = ""


class _Settings:
    """By section."""

    content = _Content()


CONF = _Settings()
