"""Command lines of actions."""

import shlex

__all__ = ["ShellCommandAction", "ShellScriptAction"]


class ShellCommandAction:
    """A line for a shell."""

    def __init__(
        self,
        name=None,
        action_exec_id=None,
        command=None,
        user=None,
        env_vars=None,
        sudo=False,
        timeout=None,
        cwd=None,
        sudo_password=None,
    ):
        self.name = name
        self.action_exec_id = action_exec_id
        self.command = command
        self.user = user
        self.env_vars = env_vars or {}
        self.sudo = sudo
        self.timeout = timeout
        self.cwd = cwd
        self.sudo_password = sudo_password

    def get_full_command_string(self):
        """The line with what goes before it."""
        line = self.get_command_string()
        if self.sudo:
            return "sudo -E -- bash -c " + shlex.quote(line)
        if self.user:
            return "sudo -E -H -u %s -- bash -c %s" % (shlex.quote(self.user), shlex.quote(line))
        return line

    def get_command_string(self):
        """The line itself."""
        return self.command

    def get_sanitized_full_command_string(self):
        """What may be shown of it: a password is fed by standard input, never in here."""
        return self.get_full_command_string()


class ShellScriptAction(ShellCommandAction):
    """A script with named and positional arguments."""

    def __init__(
        self,
        name=None,
        action_exec_id=None,
        script_local_path_abs=None,
        named_args=None,
        positional_args=None,
        env_vars=None,
        user=None,
        sudo=False,
        timeout=None,
        cwd=None,
        sudo_password=None,
    ):
        super().__init__(
            name=name,
            action_exec_id=action_exec_id,
            user=user,
            env_vars=env_vars,
            sudo=sudo,
            timeout=timeout,
            cwd=cwd,
            sudo_password=sudo_password,
        )
        self.script_local_path_abs = script_local_path_abs
        self.named_args = named_args or {}
        self.positional_args = positional_args or []

    def get_command_string(self):
        """The script, what is named, what has a position."""
        words = [shlex.quote(self.script_local_path_abs)]
        words.extend(self._named())
        given = self.positional_args
        if isinstance(given, (list, tuple)):
            given = " ".join(shlex.quote(str(value)) for value in given)
        return " ".join(words + ([given] if given else []))

    def _named(self):
        for name, value in self.named_args.items():
            if value is None or value is False or value == "":
                continue
            quoted = shlex.quote(str(name))
            yield quoted if value is True else "%s=%s" % (quoted, shlex.quote(str(value)))
