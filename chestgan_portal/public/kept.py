"""What was read from the store a moment ago: kept for some seconds, or, where it never changes, until room is needed.

In: a key, and how its value is read. Out: the value. Of many requests at once for one key, one reads and the others
wait for it. A failure is kept for a moment too, so that a store that is down is not asked by every request.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from chestgan_core.errors import ChestganError

Value = TypeVar("Value")
FAILED = 2.0  # seconds that a failure is kept


@dataclass
class _Entry(Generic[Value]):
    future: "Future[Value]"
    until: float


class Kept(Generic[Value]):
    """at_most: values. seconds: that a value is kept; None for what never changes."""

    def __init__(self, at_most: int, seconds: float | None = None) -> None:
        self._at_most, self._seconds = at_most, seconds
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[Value]] = OrderedDict()

    def get(self, key: Hashable, read: Callable[[], Value]) -> Value:
        """Raises what `read` raises."""
        with self._lock:
            entry = self._entries.get(key)
            if ours := entry is None or (entry.future.done() and time.monotonic() >= entry.until):
                entry = self._entries[key] = _Entry(Future(), float("inf"))
            self._entries.move_to_end(key)
            while len(self._entries) > self._at_most:
                self._entries.popitem(last=False)
        assert entry is not None  # noqa: S101 (for mypy)
        if ours:
            self._read(entry, read)
        return entry.future.result()

    def _read(self, entry: _Entry[Value], read: Callable[[], Value]) -> None:
        try:
            value = read()
        except BaseException as error:
            # An error that is not ours is a mistake, which the next request shall meet anew.
            entry.until = time.monotonic() + (FAILED if isinstance(error, ChestganError) else 0)
            entry.future.set_exception(error)
        else:
            if self._seconds is not None:
                entry.until = time.monotonic() + self._seconds
            entry.future.set_result(value)
