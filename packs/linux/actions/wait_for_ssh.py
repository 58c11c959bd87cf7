"""Waits until a host lets us in, with the system's ssh."""

import os
import subprocess
import tempfile
import time

from st2common.runners.base_action import Action

# One attempt after the connection is there: a host that boots may take its time to answer.
LOGIN_SECONDS = 30
# Gives the password to ssh, which takes it from nowhere else without a terminal.
ASKPASS = "#!/bin/sh\nprintf '%s\\n' \"$WAIT_FOR_SSH_PASSWORD\"\n"


class WaitForSshAction(Action):
    """Returns True, or raises after the last attempt."""

    def run(
        self,
        hostname,
        port=22,
        username=None,
        password=None,
        keyfile=None,
        ssh_timeout=5,
        sleep_delay=20,
        retries=10,
    ):
        if hostname.startswith("-"):
            raise ValueError("no host is called %r" % hostname)
        command = line(hostname, port, username, password, keyfile, ssh_timeout)
        with tempfile.TemporaryDirectory() as folder:
            environment = answering(folder, password)
            for attempt in range(1, retries + 1):
                why = tried(command, environment, ssh_timeout + LOGIN_SECONDS)
                if why is None:
                    return True
                self.logger.info("attempt %d failed: %s", attempt, why)
                if attempt < retries:
                    time.sleep(sleep_delay)
        raise Exception("Exceeded max retries (%s)" % retries)


def line(hostname, port, username, password, keyfile, ssh_timeout):
    """The command line. A new key is believed, and remembered where a password is shown."""
    options = ["ConnectTimeout=%d" % ssh_timeout, "NumberOfPasswordPrompts=1"]
    if password:
        options += ["StrictHostKeyChecking=accept-new", "PubkeyAuthentication=no"]
    else:
        options += ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
    if keyfile:
        options += ["IdentityFile=%s" % keyfile, "IdentitiesOnly=yes"]
    command = ["ssh", "-p", str(port)]
    for option in options:
        command += ["-o", option]
    if username:
        command += ["-l", username]
    return command + ["--", hostname, "true"]


def answering(folder, password):
    """The environment in which ssh finds the password; it is on no command line."""
    environment = dict(os.environ)
    if password:
        program = os.path.join(folder, "askpass")
        with open(program, "w", encoding="ascii") as file:
            file.write(ASKPASS)
        os.chmod(program, 0o700)
        environment.update(
            SSH_ASKPASS=program,
            SSH_ASKPASS_REQUIRE="force",
            DISPLAY=":0",
            WAIT_FOR_SSH_PASSWORD=password,
        )
    return environment


def tried(command, environment, seconds):
    """One attempt; why it failed, or None."""
    try:
        ended = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "no login within %d seconds" % seconds
    if ended.returncode == 0:
        return None
    return ended.stderr.strip() or "ssh exited with %d" % ended.returncode
