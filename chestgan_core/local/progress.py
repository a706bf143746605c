"""Progress of long work, for a person at a terminal and for a log that is read later.

In: a label, a total and a unit. Out: lines on standard error, never on standard output (that is for JSON).
A terminal gets one line that rewrites itself; a log gets a fresh line every few seconds, because a rewritten
line is unreadable in Dagster's compute logs.
"""

import sys
import time
from types import TracebackType
from typing import Self, TextIO


class Progress:
    """`slice_tensors Lung_Dx-A0042  184/256 slices  142/s  1 s left  left out 61`.

    total: number of units, or None when it cannot be known. out: a text stream; None is standard error as it
    is when the work starts (a test or Dagster may have replaced it by then).
    """

    def __init__(self, label: str, total: int | None, unit: str, out: TextIO | None = None) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done, self.note = 0, ""
        self._told = 0
        self._out = out or sys.stderr
        self._rewrites = self._out.isatty()
        self._every = 0.2 if self._rewrites else 5.0
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Where nothing was done, the error says it all; a log needs no line twice.
        if self.done and (self._rewrites or self.done != self._told):
            self._show("\n")

    def step(self, n: int = 1, note: str = "") -> None:
        """n more units are done; note replaces the last part of the line."""
        self.done += n
        self.note = note or self.note
        now = time.monotonic()
        if now - self._shown >= self._every:
            self._shown = now
            self._show("" if self._rewrites else "\n")

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

    def _show(self, end: str) -> None:
        self._told = self.done
        self._out.write(("\r\033[K" if self._rewrites else "") + self.line() + end)
        self._out.flush()
