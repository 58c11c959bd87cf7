"""Starting and ending other programs."""

import os
import shlex
import signal
import subprocess

__all__ = ["kill_process", "quote_unix", "quote_windows", "run_command"]


def run_command(
    cmd,
    stdin=None,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    shell=False,
    cwd=None,
    env=None,
    close_fds=None,
    bufsize=0,
):
    """Runs a program to its end: exit code, output, errors."""
    if not isinstance(cmd, (list, tuple, str)):
        raise TypeError("a command is a text or a list, not %r" % (cmd,))
    process = subprocess.Popen(
        cmd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        shell=shell,
        cwd=cwd,
        env=dict(os.environ) if env is None else env,
        close_fds=True if close_fds is None else close_fds,
        bufsize=bufsize,
    )
    out, err = process.communicate()
    decode = lambda data: data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    return process.returncode, decode(out), decode(err)


def kill_process(process):
    """Ends a program and its group."""
    try:
        group = os.getpgid(process.pid)
        if group == os.getpgrp():
            process.kill()
        else:
            os.killpg(group, signal.SIGKILL)
        return True
    except OSError:
        return False


def quote_unix(value):
    """One word for a shell."""
    return shlex.quote(value)


def quote_windows(value):
    """One word for a command line of Windows."""
    return subprocess.list2cmdline([value])
