"""The answers to a study as arrays, joined to its key.

In: StudyKey and StudyAnswers. Out: AnswerTable: one row per reader, one column per image that counts. Warm-ups are left
out; second answers to an image lie beside the first ones and are used for nothing but the agreement with oneself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import BadInput
from chestgan_core.reading.analysis.multireader import Scores
from chestgan_core.reading.answers import Answer, Reader, StudyAnswers
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.stored_answers import require_consistent
from chestgan_core.reading.study_key import KeyRow, StudyKey

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
STEPS = 10


@dataclass(frozen=True)
class Answered:
    """(readers, images) each; NaN where there is no answer. verdict: 1 synthetic, 0 real. order: 0 to 1."""

    rating: Floats
    verdict: Floats
    confidence: Floats
    seconds: Floats
    order: Floats


@dataclass(frozen=True)
class AnswerTable:
    """rows: of the key, those of images that count. units: what is drawn, as for Scores. tumour_answers: reader, image,
    answer; those that say whether a tumour was seen.
    """

    readers: tuple[Reader, ...]
    rows: tuple[KeyRow, ...]
    synthetic: Flags
    units: NDArray[np.int64]
    first: Answered
    second: Answered
    seconds_in_all: Floats
    warm_up: int
    tumour_answers: tuple[tuple[int, int, Answer], ...]

    @property
    def given(self) -> Flags:
        """(readers, images): there is an answer."""
        return ~np.isnan(self.first.seconds)

    @property
    def right(self) -> Floats:
        """(readers, images): 1 for a right verdict, 0 for a wrong one, NaN without one."""
        verdict = self.first.verdict
        return np.where(np.isnan(verdict), np.nan, verdict == self.synthetic)

    def scores_of_verdicts(self) -> Scores:
        """10 steps: from "real" with confidence 5 to "synthetic" with confidence 5."""
        verdict, confidence = self.first.verdict, self.first.confidence
        return self._scores(
            np.where(verdict == 1, 4 + confidence, np.where(verdict == 0, 5 - confidence, np.nan))
        )

    def scores_of_ratings(self) -> Scores:
        """10 steps: the less real an image looks, the higher."""
        return self._scores(10 - self.first.rating)

    def _scores(self, values: Floats) -> Scores:
        steps = np.where(np.isnan(values), -1, np.nan_to_num(values)).astype(np.int64)
        return Scores(steps, self.synthetic, self.units, STEPS)


def answer_table(design: StudyDesign, key: StudyKey, answers: StudyAnswers) -> AnswerTable:
    """Raises BadInput: design, key and answers are not of one study; an answer to an image that the key does not have;
    an answer twice, or of an unknown reader.
    """
    what = f"answers to {answers.study}"
    if not design.name == key.study == answers.study or key.version != answers.version:
        cause = f"belong to version {answers.version}, the key to version {key.version} of {key.study}"
        raise BadInput(what, cause, "give design, key and answers of the same frozen study")
    require_consistent(answers)
    readers = tuple(sorted(answers.readers, key=lambda one: one.reader))
    rows = tuple(sorted((row for row in key.rows if not row.warm_up), key=lambda row: row.item))
    practice = {row.item for row in key.rows if row.warm_up}
    reader_at = {one.reader: at for at, one in enumerate(readers)}
    image_at = {row.item: at for at, row in enumerate(rows)}
    if unknown := {one.item for one in answers.answers} - practice - image_at.keys():
        raise BadInput(
            what, f"have one to image {min(unknown)}, which the study has not", "give its own answers"
        )
    counted = [one for one in answers.answers if one.item in image_at and one.part != "warm-up"]
    shape = (len(readers), len(rows))
    first, second = ([one for one in counted if one.part == part] for part in ("main", "repeat"))
    seconds = np.zeros(len(readers))
    for one in answers.answers:
        seconds[reader_at[one.reader]] += one.seconds

    def placed(some: list[Answer]) -> Iterator[tuple[int, int, Answer]]:
        return ((reader_at[one.reader], image_at[one.item], one) for one in some)

    return AnswerTable(
        readers=readers,
        rows=rows,
        synthetic=np.array([row.truth == "synthetic" for row in rows], dtype=np.bool_),
        units=_units(rows),
        first=_answered(shape, placed(first), readers, len(practice)),
        second=_answered(shape, placed(second), readers, len(practice)),
        seconds_in_all=seconds,
        warm_up=len(answers.answers) - len(counted),
        tumour_answers=tuple(
            (reader, at, one) for reader, at, one in placed(first) if one.tumour_seen is not None
        ),
    )


def _units(rows: tuple[KeyRow, ...]) -> NDArray[np.int64]:
    """Real images of a patient share a number; each other image has one of its own."""
    names: dict[tuple[str, int], int] = {}
    return np.array(
        [
            names.setdefault(
                ("patient", row.patient)
                if row.truth == "real" and row.patient is not None
                else ("image", row.item),
                len(names),
            )
            for row in rows
        ],
        dtype=np.int64,
    )


def _answered(
    shape: tuple[int, int],
    placed: Iterator[tuple[int, int, Answer]],
    readers: tuple[Reader, ...],
    practice: int,
) -> Answered:
    found = Answered(*(np.full(shape, np.nan) for _ in range(5)))
    for reader, image, one in placed:
        found.seconds[reader, image] = one.seconds
        after = max(readers[reader].presentations - practice, 1)
        found.order[reader, image] = min(max((one.position - practice) / after, 0.0), 1.0)
        if one.rating is not None:
            found.rating[reader, image] = one.rating
        if one.verdict is not None:
            found.verdict[reader, image] = one.verdict == "synthetic"
        if one.confidence is not None:
            found.confidence[reader, image] = one.confidence
    return found
