"""What a step with many patients says of those that failed.

In: the failures, one by one. Out: the failure of the step, in which every failed patient stands with its own sentence;
whether another attempt of the step can help; and whether it is pointless to go on with the other patients.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from chestgan_assets.execution.dagster_internals import SentenceFailure
from chestgan_assets.execution.failures import Described
from chestgan_assets.metadata import table
from chestgan_core.errors import SourceUnreachable, StoreUnreachable

SENTENCES = 3  # in the sentence of the step; the others are in its table
SILENT_SOURCES = (
    2  # one file may be out of reach, but a server that leaves two patients in a row waiting is down
)


class PatientFailures:
    """The failed patients of a step. total: patients of the run."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._rows: list[tuple[str, str, str]] = []
        self._single: Mapping[str, Any] = {}
        self._temporary, self._silent = False, 0
        self.must_stop = False

    def add(self, patient: str, asset: str, error: Described) -> None:
        """A patient failed in this attempt."""
        self._rows.append((patient, asset, error.sentence))
        self._single = error.metadata
        self._temporary |= error.temporary
        # Every other patient would wait as long for the same store, or for the same server.
        self._silent = self._silent + 1 if issubclass(error.kind, SourceUnreachable) else 0
        self.must_stop = issubclass(error.kind, StoreUnreachable) or self._silent == SILENT_SOURCES

    def again(self, patient: str, sentence: str) -> None:
        """A patient failed for good in an earlier attempt of this run."""
        self._rows.append((patient, "", sentence))

    def made(self) -> None:
        """A patient did not fail: whatever serves it answers."""
        self._silent = 0

    def raise_if_any(self, not_tried: int) -> None:
        """Raises dg.Failure, which is retried only where that can help. not_tried: patients after must_stop."""
        if not self._rows:
            return
        if self._total == 1:
            ((_, _, sentence),) = self._rows
            metadata = dict(self._single)
        else:
            sentence = self._summary(not_tried)
            metadata = {"failed patients": table(("patient", "asset", "why"), self._rows)}
        if self._temporary:
            raise dg.Failure(sentence, metadata=metadata, allow_retries=True)
        raise SentenceFailure(sentence, metadata)

    def _summary(self, not_tried: int) -> str:
        shown = "; ".join(f"{patient}: {sentence}" for patient, _, sentence in self._rows[:SENTENCES])
        more = len(self._rows) - SENTENCES
        said = f"{len(self._rows)} of {self._total} patients failed: {shown}"
        said += f"; and {more} more, see the table" if more > 0 else ""
        return f"{said}; {not_tried} more were not tried" if not_tried else said
