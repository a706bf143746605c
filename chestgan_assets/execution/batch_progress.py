"""The progress of a step with many patients, in the log of its run.

In: what became of one patient after the other. Out: a line at most every 20 seconds, "patient 12 of 50, 31 slices/s,
4 min left", and one in the end; nothing for a single patient.
"""

import time

import dagster as dg

EVERY_SECONDS = 20.0


class BatchProgress:
    """Counts patients and slices. log: of the step."""

    def __init__(self, log: dg.DagsterLogManager, total: int) -> None:
        self._log, self._total = log, total
        self._done = self._worked = self._before = self._slices = self._failed = self._withdrawn = 0
        self._started = self._said = time.monotonic()

    def made(self, slices: int) -> None:
        """A patient is complete. slices: that were made of it."""
        self._slices += slices
        self._worked += 1
        self._step()

    def made_before(self) -> None:
        """Another run had made the patient already."""
        self._before += 1
        self._step()

    def failed(self, *, before: bool = False) -> None:
        """A patient could not be made. before: in an earlier attempt, and was not tried again."""
        self._failed += 1
        self._worked += not before
        self._step()

    def withdrew(self) -> None:
        """A patient has withdrawn."""
        self._withdrawn += 1
        self._step()

    def line(self) -> str:
        """The line as it stands now."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        parts = [f"patient {self._done} of {self._total}"]
        if self._slices:
            parts.append(f"{self._slices / seconds:.0f} slices/s")
        if self._worked and self._done < self._total:
            parts.append(f"{_duration(seconds / self._worked * (self._total - self._done))} left")
        for count, what in (
            (self._before, "made before"),
            (self._failed, "failed"),
            (self._withdrawn, "withdrew"),
        ):
            if count:
                parts.append(f"{count} {what}")
        return ", ".join(parts)

    def _step(self) -> None:
        self._done += 1
        now = time.monotonic()
        if self._total > 1 and (self._done == self._total or now - self._said >= EVERY_SECONDS):
            self._said = now
            self._log.info(self.line())


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
