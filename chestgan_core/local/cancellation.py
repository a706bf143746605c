"""Work in threads that its owner may call off.

In: a flag, set for a thread and for those that it starts. Out: downloads and their waits end with `Cancelled` soon
after the flag is set, instead of holding up the end of the process for minutes. Work that was given no flag is never
called off.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_flag: ContextVar[threading.Event | None] = ContextVar("cancelled", default=None)


class Cancelled(Exception):
    """The owner of this work does not want it any more. Nobody is shown it: whoever set the flag catches it."""


@contextmanager
def cancelled_by(flag: threading.Event) -> Iterator[None]:
    """Work in this block is called off once the flag is set; also that of threads which get a copy of the context."""
    token = _flag.set(flag)
    try:
        yield
    finally:
        _flag.reset(token)


def current_flag() -> threading.Event | None:
    """The flag of this work, for threads that do not share its context."""
    return _flag.get()


def require_wanted(flag: threading.Event | None = None) -> None:
    """Raises Cancelled: the flag, by default that of this context, is set."""
    flag = flag or _flag.get()
    if flag is not None and flag.is_set():
        raise Cancelled


def pause(seconds: float) -> None:
    """Sleep. Raises Cancelled as soon as the flag is set."""
    flag = _flag.get()
    if flag is None:
        time.sleep(seconds)
    elif flag.wait(seconds):
        raise Cancelled
