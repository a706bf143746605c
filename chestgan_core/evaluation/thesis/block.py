"""The measures of the thesis system as a block of a report: rows and their scores, as data.

Out: plain data for JSON (as_json) and a few sentences for a terminal (as_text). measuring.py fills it. Imports nothing
heavy.
"""

from dataclasses import asdict, dataclass
from typing import Any

from chestgan_core.config.dataset import ImageKind
from chestgan_core.evaluation.thesis.score import ThesisScore, grade

LABEL = "measures of the thesis system, for continuity"
WHY = (
    "They do not measure generation: they compare, pixel by pixel, images that have nothing to do with each other, so "
    "that a blur beats sharp images of other patients; or they use the discriminator of one training, which is another "
    "one in each training."
)


def number(measure: str, value: float | None) -> str:
    """A value of a measure as it is printed; `none` if absent."""
    if value is None:
        return "none"
    if measure.endswith("accuracy"):
        return f"{value:.1%}"
    return f"{value:.2f} dB" if measure == "PSNR" else f"{value:.3f}"


def graded(measure: str, value: float | None) -> str:
    """The same with its grade, where there is one: `14.21 dB (bad)`."""
    word = grade(measure, value)
    return number(measure, value) + (f" ({word})" if word else "")


def points(score: int | None, out_of: int) -> str:
    """`4 of 10`, or `none`."""
    return "none" if score is None else f"{score} of {out_of}"


@dataclass(frozen=True)
class ThesisRow:
    """One measure.

    real: the same measure with images of other patients in place of the synthetic ones, real_n of them. n: images per
    side. pairs: number of pairs where images are compared in pairs, else None. instrument: what measured. seconds: of
    the computation; passes through the discriminator count in each row that uses them. note, real_note: what the
    numbers are, or why there is none. published: model -> value that the thesis system published.
    """

    measure: str
    value: float | None
    real: float | None
    n: int
    real_n: int
    pairs: int | None
    seed: int
    seconds: float
    instrument: str
    note: str
    real_note: str
    published: dict[str, float]


@dataclass(frozen=True)
class ThesisBlock:
    """The rows, and the scores that the thesis system made of them. image_kind: the word for real images."""

    rows: tuple[ThesisRow, ...]
    score: ThesisScore
    image_kind: ImageKind
    label: str = LABEL
    why: str = WHY

    def row(self, measure: str) -> ThesisRow | None:
        """The row of a measure."""
        return next((row for row in self.rows if row.measure == measure), None)

    def as_json(self) -> dict[str, Any]:
        """Plain data for report.json."""
        return asdict(self)

    def as_text(self) -> str:
        """A few sentences for a terminal."""
        measured = [
            f"{row.measure} {number(row.measure, row.value)} ({number(row.measure, row.real)})"
            for row in self.rows
            if row.value is not None
        ]
        missing = [row.measure for row in self.rows if row.value is None]
        score = "no score"
        if self.score.value is not None:
            score = (
                f"score {points(self.score.value, self.score.out_of)} weighted, "
                f"{points(self.score.unweighted, self.score.out_of)} unweighted"
            )
        text = (
            f"{self.label[:1].upper()}{self.label[1:]} (a blur wins them). In brackets: {self.image_kind} against "
            f"{self.image_kind}. {', '.join(measured)}; {score}."
        )
        return f"{text} Not measured: {', '.join(missing)}." if missing else text
