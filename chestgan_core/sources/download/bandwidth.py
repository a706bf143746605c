"""How fast this process may download, all its threads and sources together.

In: $CHESTGAN_BANDWIDTH in MB/s (10^6 bytes), empty for no limit. Out: waits. A process of its own, such as a run or a
step of Dagster, has a limit of its own.
"""

import threading
import time
from functools import cache

from chestgan_core.local.environment import number_from_environment

VARIABLE = "CHESTGAN_BANDWIDTH"
BURST_SECONDS = 0.1


class Bandwidth:
    """A token bucket that many threads share. rate: bytes per second, None for no limit.

    Bytes are booked after they came, and whoever took them sleeps until the rate is kept: TCP then slows the sender.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._paid_until = 0.0

    def took(self, n: int) -> None:
        """n bytes came; returns when they may have come."""
        if self._rate is None:
            return
        with self._lock:
            # What was not used is kept for a moment only.
            earliest = time.monotonic() - BURST_SECONDS
            self._paid_until = max(self._paid_until, earliest) + n / self._rate
            wait = self._paid_until - time.monotonic()
        if wait > 0:
            time.sleep(wait)


def shared() -> Bandwidth:
    """The limit of this process. Raises BadInput: the variable is not a number from 0.001 (1 kB/s)."""
    return _of(number_from_environment(VARIABLE, 0.001))


@cache
def _of(megabytes: float | None) -> Bandwidth:
    return Bandwidth(None if megabytes is None else megabytes * 1e6)
