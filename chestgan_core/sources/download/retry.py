"""Retries of downloads: temporary failures are retried, with growing waits and up to a limit.

In: a function that makes one attempt. Out: its result, or an error that says why there is none. Waits double from half
a second to half a minute, and each is shortened by up to a half at random, so that clients that failed together do not
return together. The Retry-After of a server is obeyed. Longer waits are logged. $CHESTGAN_DOWNLOAD_PATIENCE: seconds
after the first failure until a file or an answer is given up, by default 300.
"""

import logging
import math
import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from chestgan_core.errors import SourceRefused, SourceUnreachable
from chestgan_core.local.cancellation import pause
from chestgan_core.local.environment import number_from_environment

log = logging.getLogger(__name__)

VARIABLE = "CHESTGAN_DOWNLOAD_PATIENCE"
PATIENCE = 300.0
FIRST_WAIT, MAX_WAIT = 0.5, 30.0
# Waits from here on are logged, or they would look like a hang.
LOGGED_WAIT = 4.0
_MAX_DAMAGED = 2

T = TypeVar("T")


class TemporaryFailure(Exception):
    """An attempt failed, but a later one may succeed. wait: seconds that the server demands, else None."""

    def __init__(self, cause: str, wait: float | None = None) -> None:
        super().__init__(cause)
        self.cause, self.wait = cause, wait


class DamagedDownload(Exception):
    """An attempt brought other bytes than it should have. Retried once, as the connection may be the cause."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def with_retries(what: str, attempt: Callable[[], T], progress: Callable[[], int] = lambda: 0) -> T:
    """The result of `attempt`, which may raise TemporaryFailure and DamagedDownload.

    what: named in errors and logs. progress: bytes of a long transfer so far. When it has grown, the patience starts
    anew, so a large file over a bad line is never given up while each attempt brings more of it. Raises
    SourceUnreachable (given up), SourceRefused (damaged twice), Cancelled, and whatever else `attempt` raises.
    """
    patience = _patience()
    damaged, failures, reached = 0, 0, progress()
    deadline = None
    while True:
        try:
            return attempt()
        except DamagedDownload as error:
            damaged += 1
            if damaged == _MAX_DAMAGED:
                raise SourceRefused(
                    what,
                    f"{error.cause}, also when fetched again",
                    "it is damaged at the source: report it there, or leave it out (exclude_series of the dataset)",
                ) from error
        except TemporaryFailure as error:
            now = time.monotonic()
            if progress() > reached:
                failures, reached, deadline = 0, progress(), None
            deadline = deadline or now + patience
            # Also after a Retry-After of 0, or a failing server would get thousands of requests.
            wait = max(_wait(failures), error.wait or 0.0)
            failures += 1
            if now + wait > deadline:
                limit = f"also after retries for {patience:.0f} s"
                if error.wait is not None and wait > patience:
                    limit = f"and demands a wait of {wait:.0f} s, more than the {patience:.0f} s allowed here"
                raise SourceUnreachable(
                    what,
                    f"{error.cause}, {limit}",
                    f"run again when the server is back; {VARIABLE} sets for how long it is retried",
                ) from error
            if wait >= LOGGED_WAIT:
                log.info(
                    f"{what}: {error.cause}; next attempt in {wait:.0f} s, given up in {deadline - now:.0f} s"
                )
            pause(wait)


def retry_after(header: str | None) -> float | None:
    """Seconds that a Retry-After header demands (RFC 9110, 10.2.3: a number or a date), None if invalid."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


def _wait(failures: int) -> float:
    wait = min(FIRST_WAIT * 2.0 ** min(failures, 16), MAX_WAIT)
    return wait * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)


def _patience() -> float:
    return number_from_environment(VARIABLE, 0, math.inf, PATIENCE)
