"""A connection to another host, made by the system's ssh."""

import os
import shlex
import subprocess
import tempfile

__all__ = ["ParamikoSSHClient", "SSHCommandTimeoutError"]

# Longer than any pack waits for a connection that it has not bounded itself.
CONNECT_SECONDS = 60
# Says the password when ssh asks; it stands in the environment, where only ssh sees it.
ASK = '#!/bin/sh\nprintf "%s\\n" "$HEARKEN_SSH_PASSWORD"\n'


class SSHCommandTimeoutError(Exception):
    """A command took too long."""

    def __init__(self, cmd, timeout, **_ignored):
        super().__init__("%r took longer than %s s" % (cmd, timeout))
        self.cmd = cmd
        self.timeout = timeout


class ParamikoSSHClient:
    """As StackStorm's own, as far as packs use it; named after the library that it uses."""

    def __init__(
        self,
        hostname,
        port=22,
        username=None,
        password=None,
        bastion_host=None,
        key_files=None,
        key_material=None,
        timeout=None,
        passphrase=None,
        handle_stdout_line_func=None,
        handle_stderr_line_func=None,
    ):
        if key_files and key_material:
            raise ValueError("key_files and key_material exclude each other")
        self.hostname = hostname
        self.timeout = timeout or CONNECT_SECONDS
        self._secret = password if password is not None else passphrase
        self._folder = tempfile.TemporaryDirectory(prefix="ssh-")
        if key_material:
            key_files = self._file("key", key_material, 0o600)
        self._command = self._options(port, username, bastion_host, key_files)

    def _file(self, name, text, mode):
        path = os.path.join(self._folder.name, name)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, mode), "w") as out:
            out.write(text if text.endswith("\n") else text + "\n")
        return path

    def _options(self, port, username, bastion_host, key_files):
        said = {
            "ConnectTimeout": int(self.timeout) or 1,
            "Port": port or 22,
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "NumberOfPasswordPrompts": 1,
            "BatchMode": "no" if self._secret is not None else "yes",
        }
        command = ["ssh", "-T"] + ["-o%s=%s" % pair for pair in said.items()]
        if isinstance(key_files, str):
            key_files = [key_files]
        for key in key_files or ():
            command += ["-i", os.path.expanduser(key)]
        if username:
            command += ["-l", username]
        if bastion_host:
            command += ["-J", bastion_host]
        return command + ["--", self.hostname]

    def connect(self):
        """True when the host answers and lets us in; otherwise an error says why not."""
        _out, errors, code = self.run("true", timeout=2 * self.timeout)
        if code != 0:
            why = errors.strip() or "ssh ended with %s" % (code,)
            raise ConnectionError("cannot connect to %s: %s" % (self.hostname, why))
        return True

    def run(self, cmd, timeout=None, quote=False, call_line_handler_func=False):
        """Runs a command there: output, errors, exit code."""
        if quote:
            cmd = shlex.quote(cmd)
        environment = dict(os.environ)
        if self._secret is not None:
            environment.update(
                SSH_ASKPASS=self._file("ask", ASK, 0o700),
                SSH_ASKPASS_REQUIRE="force",
                DISPLAY=environment.get("DISPLAY", ":0"),
                HEARKEN_SSH_PASSWORD=self._secret,
            )
        try:
            done = subprocess.run(
                self._command + [cmd],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=environment,
                start_new_session=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise SSHCommandTimeoutError(cmd=cmd, timeout=timeout) from None
        out, errors = (data.decode("utf-8", "replace") for data in (done.stdout, done.stderr))
        return [out, errors, done.returncode]

    def close(self):
        """Nothing stays open between two commands; what was written for ssh goes."""
        self._folder.cleanup()
        return True
