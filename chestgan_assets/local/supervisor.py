"""Runs a server, and ends it with all processes that it started when the process that wanted it is gone.

    python -IS supervisor.py DESCRIPTOR COMMAND...

In: the read end of a pipe whose other end only `make dev` holds: it closes when that ends, however it ends, kill -9
too. Then the server's group gets SIGTERM, so that a training can write its checkpoint, and after GRACE seconds SIGKILL.
The same happens to the rest of the group when the server ends by itself. Out: the exit status of the server.

Started by its path: it imports nothing but the standard library.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial

GRACE = 20.0  # seconds for a server to end by itself
_KILLED = 5.0  # seconds in which the system removes what was killed
_INTERVAL = 0.2  # seconds
_DIES_WITH_PARENT, _ADOPTS_ORPHANS = 1, 36  # prctl, of Linux


def main() -> int:
    """Run until the server or the pipe ends."""
    lifeline, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(lifeline, False)
    # Ctrl-C and a closed terminal are for `make dev`, which closes the pipe.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Run workers whose code server has ended become children of this process, and no zombies of nobody.
    _prctl(_ADOPTS_ORPHANS, 1)
    server = subprocess.Popen(
        command, close_fds=False, start_new_session=True, preexec_fn=partial(_child, os.getpid())
    )
    while server.poll() is None and not select.select([lifeline], [], [], _INTERVAL)[0]:
        pass
    _end(server)
    return server.returncode


def _child(parent: int) -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _prctl(_DIES_WITH_PARENT, signal.SIGTERM)
    if os.getppid() != parent:  # killed between the fork and the line above
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _end(server: "subprocess.Popen[bytes]") -> None:
    """End the server with its code servers and run workers, which belong to its process group."""
    for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, _KILLED)):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        deadline = time.monotonic() + seconds
        while _lives(server) and time.monotonic() < deadline:
            time.sleep(_INTERVAL / 4)
    server.wait()


def _lives(server: "subprocess.Popen[bytes]") -> bool:
    server.poll()
    with suppress(ChildProcessError):
        while server.returncode is not None and os.waitpid(-1, os.WNOHANG)[0]:
            pass  # an adopted one has ended
    try:
        os.killpg(server.pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
