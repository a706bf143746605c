"""The block of the thesis' measures in a report, as data: rows, their score, and what they are called.

Out: plain data for JSON (as_json) and a few sentences for a terminal (as_text). thesis_measuring.py fills it.
"""

from dataclasses import dataclass
from typing import Any

from chestgan_core.config.dataset import ImageKind
from chestgan_core.evaluation.thesis.score import MODELS, ThesisScore

LABEL = "thesis: the measures of the thesis, for continuity"
WHY = (
    "They do not measure generation: they compare, pixel by pixel, images that have nothing to do with each other, "
    "so a blur beats sharp images of other patients; or they ask the opponent of one training, another one each time."
)


def number(measure: str, value: float | None) -> str:
    """A value of a measure as people read it; `none` if absent."""
    if value is None:
        return "none"
    if measure.endswith("accuracy"):
        return f"{value:.1%}"
    return f"{value:.2f} dB" if measure == "PSNR" else f"{value:.3f}"


@dataclass(frozen=True)
class ThesisRow:
    """One measure. real: the same with images of other patients in the place of the synthetic ones, real_n of them.

    n: images on a side. pairs: where images are compared in pairs, else None. instrument: what measured. seconds:
    passes through the discriminator count in each row that uses them. note, real_note: what the numbers are, or why
    there is none. published: what the thesis printed, model -> value.
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
    """The rows, and the score that the thesis made of them. image_kind: how the images that are not synthetic are
    called.
    """

    rows: tuple[ThesisRow, ...]
    score: ThesisScore
    image_kind: ImageKind

    label, why, models = LABEL, WHY, MODELS

    def as_json(self) -> dict[str, Any]:
        """Plain data for report.json."""
        rows = [{**vars(row), "published": dict(row.published)} for row in self.rows]
        return {"label": self.label, "why": self.why, "rows": rows, "score": self.score.as_json()}

    def as_text(self) -> str:
        """A few sentences for a terminal."""
        told = [
            f"{row.measure} {number(row.measure, row.value)} ({number(row.measure, row.real)})"
            for row in self.rows
            if row.value is not None
        ]
        missing = [row.measure for row in self.rows if row.value is None]
        score = "no score" if self.score.value is None else f"score {self.score.value} of 10"
        beside = f"In brackets {self.image_kind} against {self.image_kind}"
        said = f"{self.label}; a blur wins them. {beside}: {', '.join(told)}; {score}."
        return f"{said} Not measured: {', '.join(missing)}." if missing else said
