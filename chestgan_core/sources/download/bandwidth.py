"""The limit on the download rate of this process, for all its threads and sources together.

In: $CHESTGAN_BANDWIDTH in MB/s (10^6 bytes per second), empty for no limit. Out: waits. Each process, such as a step of
a Dagster run, has a limit of its own.
"""

import threading
import time
from functools import cache

from chestgan_core.local.environment import number_from_environment

VARIABLE = "CHESTGAN_BANDWIDTH"
BURST_SECONDS = 0.1


class Bandwidth:
    """A token bucket for any number of threads. rate: bytes per second, None for no limit.

    Bytes are booked after they arrive, and the receiving thread sleeps until the rate is kept; TCP then slows the
    sender.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._paid_until = 0.0

    def received(self, n: int) -> None:
        """Book n bytes, and return when the rate is kept again."""
        if self._rate is None:
            return
        with self._lock:
            # Unused bandwidth is saved up for this time only.
            earliest = time.monotonic() - BURST_SECONDS
            self._paid_until = max(self._paid_until, earliest) + n / self._rate
            wait = self._paid_until - time.monotonic()
        if wait > 0:
            time.sleep(wait)


def shared() -> Bandwidth:
    """The limit of this process. Raises BadInput: the variable is not a number of at least 0.001 (1 kB/s)."""
    return _of(number_from_environment(VARIABLE, 0.001))


@cache
def _of(megabytes: float | None) -> Bandwidth:
    return Bandwidth(None if megabytes is None else megabytes * 1e6)
