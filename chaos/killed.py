"""A child process that is killed at a moment that chance chooses.

In: work. Out: what it had confirmed before it died. The child is forked from a process that has imported everything, so
that the moments fall into the work and not into imports.
"""

import math
import os
import random
import select
import signal
import time
import traceback
from collections.abc import Callable, Sequence

Confirm = Callable[[str], None]
_NEVER = math.inf


def run_and_kill(
    work: Sequence[Callable[[Confirm], None]], chance: random.Random, longest: float
) -> list[list[str]]:
    """Run each of `work` in a child of its own, all at once, and kill them one by one.

    work: gets a function that confirms a line of text: what was confirmed counts as done. longest: seconds until the
    last one is dead at the latest, infinite: none is killed. One that ends by itself before is not killed either.
    Returns the confirmed lines of each.
    """
    children = [_start(one) for one in work]
    deadlines = [
        time.monotonic() + (longest if longest == _NEVER else chance.uniform(0, longest)) for _ in children
    ]
    for (pid, _), deadline in sorted(zip(children, deadlines, strict=True), key=lambda child: child[1]):
        while time.monotonic() < deadline and not os.waitid(
            os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
        ):
            time.sleep(0.002)
        os.kill(pid, signal.SIGKILL)
    confirmed = []
    for pid, pipe in children:
        os.waitpid(pid, 0)
        confirmed.append(_read(pipe).split("\n")[:-1])  # a line without its end was not confirmed
    return confirmed


def duration(work: Callable[[Confirm], None]) -> float:
    """Seconds that the work takes in a child that is not killed."""
    started = time.monotonic()
    run_and_kill([work], random.Random(0), _NEVER)
    return time.monotonic() - started


def _start(work: Callable[[Confirm], None]) -> tuple[int, int]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    os.close(reading)
    try:
        work(lambda line: (os.write(writing, f"{line}\n".encode()), None)[1])
    except BaseException:
        os.write(writing, f"error {traceback.format_exc(limit=1).splitlines()[-1]}\n".encode())
    os._exit(0)


def _read(pipe: int) -> str:
    data = b""
    while select.select([pipe], [], [], 5)[0] and (piece := os.read(pipe, 65536)):
        data += piece
    os.close(pipe)
    return data.decode()
