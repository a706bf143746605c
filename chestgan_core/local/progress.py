"""Progress of long work, for a person at a terminal and for a log that is read later.

In: a label, a total and a unit. Out: never anything on standard output (that is for JSON). A terminal gets one line on
standard error that rewrites itself; a log gets messages through `logging`, every few seconds at first and once a minute
in the end, because a rewritten line is unreadable in Dagster's compute logs.
"""

import logging
import sys
import threading
import time
from types import TracebackType
from typing import Self

from chestgan_core.escaping import escaped

TERMINAL_SECONDS = 0.2
# Between two messages: a fiftieth of the time that has passed, within these bounds.
MIN_LOG_SECONDS, MAX_LOG_SECONDS = 5.0, 60.0

log = logging.getLogger(__name__)


class Progress:
    """`slice_tensors Lung_Dx-A0042  184/256 slices  142/s  1 s left  left out 61`.

    total: number of units, or None when it cannot be known.
    """

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.note = 0, ""
        self._shown_done = 0
        # Of standard error as it is when the work starts: a test or Dagster may have replaced it by then.
        self._terminal = sys.stderr if sys.stderr.isatty() else None
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Where nothing was done, the error says it all; a log needs no line twice.
        if self.done and (self._terminal or self.done != self._shown_done):
            self._show("\n")

    def step(self, n: int = 1, note: str = "") -> None:
        """n more units are done; note replaces the last part of the line."""
        self.done += n
        self.note = note or self.note
        now = time.monotonic()
        if now - self._shown >= self._interval(now):
            self._shown = now
            self._show("")

    def line(self) -> str:
        """The line as it stands now, without its end."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        rate = self.done / seconds
        of = f"/{self.total}" if self.total is not None else ""
        parts = [
            self.label,
            f"{self.done}{of} {self.unit}",
            f"{rate:.3g}/s" if rate < 10 else f"{rate:.0f}/s",
        ]
        if self.total is not None and self.done < self.total and self.done:
            parts.append(f"{(self.total - self.done) / rate:.0f} s left")
        return "  ".join([*parts, self.note] if self.note else parts)

    def _interval(self, now: float) -> float:
        if self._terminal:
            return TERMINAL_SECONDS
        return min(max(MIN_LOG_SECONDS, (now - self._started) / 50), MAX_LOG_SECONDS)

    def _show(self, end: str) -> None:
        self._shown_done = self.done
        if self._terminal:
            self._terminal.write("\r\033[K" + escaped(self.line()) + end)
            self._terminal.flush()
        else:
            log.info(self.line())


class ByteProgress(Progress):
    """`fetch  demo 0123456789abcdef  12.3/45.6 MB  34.1 MB/s  1 s left`. total: bytes. For any number of threads."""

    def __init__(self, label: str, total: int) -> None:
        super().__init__(label, total, "MB")
        self._present = 0
        self._lock = threading.Lock()

    def present(self, n: int) -> None:
        """n bytes were there already: they are done, and say nothing of the speed."""
        with self._lock:
            self._present += n
            self.done += n

    def step(self, n: int = 1, note: str = "") -> None:
        """n more bytes were transferred."""
        with self._lock:
            super().step(n, note)

    def line(self) -> str:
        """The line as it stands now, without its end."""
        total = self.total or 0
        rate = max(self.done - self._present, 0) / max(time.monotonic() - self._started, 1e-9)
        # Of what was there already there is no speed.
        speed = "was there already" if self.done and self.done == self._present else f"{rate / 1e6:.1f} MB/s"
        parts = [self.label, f"{self.done / 1e6:.1f}/{total / 1e6:.1f} MB", speed]
        if rate and self.done < total:
            parts.append(f"{(total - self.done) / rate:.0f} s left")
        return "  ".join([*parts, self.note] if self.note else parts)
