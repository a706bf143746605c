"""Asking a source again: what may pass by itself is waited for, patiently but not for ever.

In: a function that makes one try. Out: what it returns, or one line that says why not. Waits double from half a second
to half a minute, each cut by up to a half at random, so that those who failed together do not come back together. A
server that says when to come back (Retry-After) is obeyed. Longer waits are logged.
$CHESTGAN_DOWNLOAD_PATIENCE: seconds after the first failure at which one file or one answer is given up, by default
300.
"""

import logging
import math
import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from chestgan_core.errors import SourceRefused, SourceUnreachable
from chestgan_core.local.environment import number_from_environment

log = logging.getLogger(__name__)

VARIABLE = "CHESTGAN_DOWNLOAD_PATIENCE"
PATIENCE = 300.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
# A pause from here on is logged: a person must not take it for a hang.
LOGGED_WAIT = 4.0
_MOST_DAMAGED = 2

T = TypeVar("T")


class Passing(Exception):
    """One try failed in a way that may pass. cause: for people. wait: seconds that the server asks for, else None."""

    def __init__(self, cause: str, wait: float | None = None) -> None:
        super().__init__(cause)
        self.cause, self.wait = cause, wait


class Damaged(Exception):
    """One try brought other bytes than it should have: worth one more try, as a line may have done it."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def persistently(what: str, one_try: Callable[[], T], moved_on: Callable[[], int] = lambda: 0) -> T:
    """What `one_try` returns, which may raise Passing and Damaged.

    what: for errors, names the series. moved_on: a number that grows while a long transfer gets on, which begins its
    patience anew: a large file over a bad line is never given up while each try brings more of it.
    Raises SourceUnreachable (patience is spent), SourceRefused (damaged twice) and whatever else one_try raises.
    """
    patience = _patience()
    damaged, failures, reached = 0, 0, moved_on()
    deadline = None
    while True:
        try:
            return one_try()
        except Damaged as error:
            damaged += 1
            if damaged == _MOST_DAMAGED:
                raise SourceRefused(
                    what,
                    f"{error.cause}, also when it was fetched again",
                    "the source holds it damaged: tell its owners, or leave it out (exclude_series of the dataset)",
                ) from error
        except Passing as error:
            now = time.monotonic()
            if moved_on() > reached:
                failures, reached, deadline = 0, moved_on(), None
            deadline = deadline or now + patience
            # Also where the server asks for no wait at all: it is told to fail for thousands of requests otherwise.
            wait = max(_wait(failures), error.wait or 0.0)
            failures += 1
            if now + wait > deadline:
                told = f"also when it was asked again for {patience:.0f} s"
                if error.wait is not None and wait > patience:
                    told = f"and asks for {wait:.0f} s of waiting, more than the {patience:.0f} s of our patience"
                raise SourceUnreachable(
                    what,
                    f"{error.cause}, {told}",
                    f"wait until the source is well again, then run again; {VARIABLE} sets how long is waited",
                ) from error
            if wait >= LOGGED_WAIT:
                log.info(
                    f"{what}: {error.cause}; next try in {wait:.0f} s, given up in {deadline - now:.0f} s"
                )
            time.sleep(wait)


def retry_after(told: str | None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3: a number or a date), None without a usable one."""
    if told is None:
        return None
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except ValueError:
        return None


def _wait(failures: int) -> float:
    longest = min(FIRST_WAIT * 2.0 ** min(failures, 16), LONGEST_WAIT)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)


def _patience() -> float:
    return number_from_environment(VARIABLE, 0, math.inf, PATIENCE)
