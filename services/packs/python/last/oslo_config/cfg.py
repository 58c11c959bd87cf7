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


class _SystemUser:
    """Who commands run as."""

    @property
    def user(self):
        """The one who runs this."""
        import getpass

        return getpass.getuser()

    @property
    def ssh_key_file(self):
        """The key that ssh would try first."""
        import os

        folder = os.path.expanduser("~/.ssh")
        known = [os.path.join(folder, name) for name in ("id_ed25519", "id_ecdsa", "id_rsa")]
        return next((key for key in known if os.path.exists(key)), known[-1])


class _Settings:
    """By section."""

    content = _Content()
    system_user = _SystemUser()


CONF = _Settings()
