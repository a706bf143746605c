"""Processes that this one starts to work for it, each at the other end of a connection.

In: a program and the file descriptor of its end of the connection. Out: the process, how it ended by itself, its end.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

ENDED_WITHIN = 5  # s, once its connection is closed


def start_child(
    program: Sequence[str], descriptor: int, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start Python with a program, whose last argument is the descriptor. environment: beside that of this process.

    No fork of this process, which may have threads and PyTorch in it; one thread in the libraries of the child. Raises
    OSError: it did not start.
    """
    return subprocess.Popen(
        [sys.executable, "-P", *program, str(descriptor)],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **(environment or {})},
    )


def exit_code(child: "subprocess.Popen[bytes]") -> int | None:
    """Of a child that has closed its connection: negative for a signal; None where it does not end all the same."""
    try:
        return child.wait(ENDED_WITHIN)
    except subprocess.TimeoutExpired:
        return None


def disown(child: "subprocess.Popen[bytes]") -> None:
    """In a forked process, so that nothing waits for a process that is not its child."""
    child.returncode = 0


def end_child(child: "subprocess.Popen[bytes]") -> None:
    """At once."""
    child.kill()
    child.wait()
