"""How fast this process may download, all its threads and sources together.

In: $CHESTGAN_BANDWIDTH in MB/s (10^6 bytes), empty for no limit. Out: waits. A process of its own, such as a run or a
step of Dagster, has a limit of its own.
"""

import os
import threading
import time
from functools import cache

from chestgan_core.errors import BadInput

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
    """The limit of this process. Raises BadInput: the variable is no number above 0."""
    return _of(os.environ.get(VARIABLE, ""))


@cache
def _of(told: str) -> Bandwidth:
    if not told.strip():
        return Bandwidth(None)
    try:
        megabytes = float(told)
    except ValueError:
        megabytes = 0.0
    if not 0 < megabytes < float("inf"):
        raise BadInput(VARIABLE, "is no number of MB/s above 0", "set it to 20, say, or leave it unset")
    return Bandwidth(megabytes * 1e6)
