"""The two scores of the thesis system, 1 to 10, its grades, and its published numbers.

In: values of its five measures, and a weights file (thesis/weights.yaml, or the one that $CHESTGAN_THESIS_WEIGHTS
names). Out: a ThesisScore. Its pipeline weighs the points of the measures, its PDF takes their mean and grades each of
them. What was not measured is left out: the other weights are renormalized, and the mean is over fewer (its PDF counts
what a WGAN has not as 0).
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from chestgan_core.config.yaml_models import Section, read_fields, validated
from chestgan_core.errors import BadInput

SHIPPED = Path(__file__).parent / "weights.yaml"
VARIABLE = "CHESTGAN_THESIS_WEIGHTS"
LOWEST, HIGHEST = 1, 10

# What the thesis system published: measure -> model -> value.
PUBLISHED: dict[str, dict[str, float]] = {
    "discriminator accuracy": {"DCGAN": 0.9152, "Vanilla": 0.40},
    "generator accuracy": {"DCGAN": 0.3928, "Vanilla": 0.80},
    "Wasserstein estimate": {"WGAN": -12.3046},
    "SSIM": {"DCGAN": 0.2667, "WGAN": 0.0916, "Vanilla": -0.0356},
    "PSNR": {"DCGAN": 14.2089, "WGAN": 10.7226, "Vanilla": 2.22},
    "LPIPS on VGG": {"DCGAN": 0.4830, "WGAN": 0.6763, "Vanilla": 0.7588},
    "LPIPS on AlexNet": {},
    "inception score": {},
}
MODELS = ("DCGAN", "WGAN", "Vanilla")
# LPIPS counts once in the scores: on the network of the thesis system where that was measured.
LPIPS = ("LPIPS on VGG", "LPIPS on AlexNet")

Grade: TypeAlias = Literal["good", "medium", "bad"]
# From where a value is good, and from where medium; of LPIPS less is better.
GRADES: dict[str, tuple[float, float]] = {
    "discriminator accuracy": (0.9, 0.7),
    "generator accuracy": (0.9, 0.7),
    "SSIM": (0.9, 0.7),
    "PSNR": (30.0, 25.0),
    "LPIPS": (0.2, 0.5),
}

Points = Annotated[float, Field(ge=0, le=HIGHEST)]


class Part(Section):
    """One measure of the score: its weight, and the points of a value, by `line` or by `steps` (see weights.yaml)."""

    weight: Annotated[float, Field(ge=0, le=1)]
    line: tuple[float, float] | None = None
    steps: tuple[tuple[float, Points], ...] = ()
    below: Points = 0.0

    @model_validator(mode="after")
    def _gives_points(self) -> Self:
        if (self.line is None) == (not self.steps):
            raise ValueError("give line or steps, one of them")
        bounds = [bound for bound, _ in self.steps]
        if bounds != sorted(set(bounds), reverse=True):
            raise ValueError("steps: go from the highest value down")
        return self

    def points(self, value: float) -> float:
        """0 to 10."""
        if self.line is None:
            return next((points for bound, points in self.steps if value >= bound), self.below)
        at_zero, at_one = self.line
        return min(max(at_zero + (at_one - at_zero) * value, 0.0), float(HIGHEST))


class Weights(Section):
    """The parts of the score; their weights add up to 1."""

    discriminator_accuracy: Part
    generator_accuracy: Part
    ssim: Part
    psnr: Part
    lpips: Part

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        total = math.fsum(part.weight for part in self.parts().values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the weights add up to {total:g}, not 1")
        return self

    def parts(self) -> dict[str, Part]:
        """The parts by the name of the measure."""
        return {
            "discriminator accuracy": self.discriminator_accuracy,
            "generator accuracy": self.generator_accuracy,
            "SSIM": self.ssim,
            "PSNR": self.psnr,
            "LPIPS": self.lpips,
        }


@dataclass(frozen=True)
class ScorePart:
    """One measure of a score. points: 0 to 10, None where nothing was measured. weight: as in the weights file.

    effective_weight: after renormalizing; 0 where nothing was measured. grade: of the value, in the words of the thesis
    system's PDF.
    """

    measure: str
    value: float | None
    points: float | None
    weight: float
    effective_weight: float
    grade: Grade | None


@dataclass(frozen=True)
class ThesisScore:
    """value: the weighted score, rounded as the thesis system does, 1 to 10; None where no part with a weight was
    measured. unweighted: the mean of the points, of all parts that were measured.

    published, published_unweighted: model -> the same formulas on the published numbers.
    """

    value: int | None
    unrounded: float | None
    unweighted: int | None
    unweighted_unrounded: float | None
    parts: tuple[ScorePart, ...]
    note: str
    published: dict[str, int]
    published_unweighted: dict[str, int]
    out_of: int = HIGHEST


def load_weights() -> Weights:
    """The weights in force. Raises BadInput: no such file, broken YAML, a wrong field (line, name and cause)."""
    path = Path(os.environ.get(VARIABLE) or SHIPPED)
    if not path.is_file():
        raise BadInput(VARIABLE, f"{path} is not a file", f"name a file like {SHIPPED.name}, or unset it")
    return validated(Weights, read_fields(path, "weights.yaml", BadInput), "weights", BadInput)


def thesis_score(values: Mapping[str, float | None], weights: Weights) -> ThesisScore:
    """Both scores of these values. values: measure -> value; None or absent: not measured."""
    parts = _parts(values, weights)
    unrounded, unweighted = _weighted(parts), _mean(parts)
    published = {
        model: _parts({measure: values.get(model) for measure, values in PUBLISHED.items()}, weights)
        for model in MODELS
    }
    return ThesisScore(
        value=_rounded(unrounded),
        unrounded=unrounded,
        unweighted=_rounded(unweighted),
        unweighted_unrounded=unweighted,
        parts=parts,
        note=_note(parts, values),
        published=_all_rounded({model: _weighted(of_model) for model, of_model in published.items()}),
        published_unweighted=_all_rounded({model: _mean(of_model) for model, of_model in published.items()}),
    )


def grade(measure: str, value: float | None) -> Grade | None:
    """In the words of the thesis system's PDF. measure: of a part, or a row of LPIPS; None: it grades it not."""
    bounds = GRADES.get("LPIPS" if measure in LPIPS else measure)
    if value is None or bounds is None:
        return None
    good, medium = bounds
    sign = 1 if good > medium else -1
    if sign * value >= sign * good:
        return "good"
    return "medium" if sign * value >= sign * medium else "bad"


def _parts(values: Mapping[str, float | None], weights: Weights) -> tuple[ScorePart, ...]:
    parts_by_measure = weights.parts()
    values = {
        **values,
        "LPIPS": next((value for row in LPIPS if (value := values.get(row)) is not None), None),
    }
    found = {measure: value for measure in parts_by_measure if (value := values.get(measure)) is not None}
    whole = math.fsum(parts_by_measure[measure].weight for measure in found)
    return tuple(
        ScorePart(
            measure,
            found.get(measure),
            part.points(found[measure]) if measure in found else None,
            part.weight,
            part.weight / whole if measure in found and whole else 0.0,
            grade(measure, found.get(measure)),
        )
        for measure, part in parts_by_measure.items()
    )


def _weighted(parts: tuple[ScorePart, ...]) -> float | None:
    if not any(part.effective_weight for part in parts):
        return None
    return _on_scale(
        math.fsum(part.effective_weight * part.points for part in parts if part.points is not None)
    )


def _mean(parts: tuple[ScorePart, ...]) -> float | None:
    points = [part.points for part in parts if part.points is not None]
    return _on_scale(math.fsum(points) / len(points)) if points else None


def _on_scale(total: float) -> float:
    """The sum may fall below the lowest mark of the scale."""
    return min(max(total, float(LOWEST)), float(HIGHEST))


def _rounded(score: float | None) -> int | None:
    return None if score is None else round(score)


def _all_rounded(scores: Mapping[str, float | None]) -> dict[str, int]:
    return {model: round(score) for model, score in scores.items() if score is not None}


def _note(parts: tuple[ScorePart, ...], values: Mapping[str, float | None]) -> str:
    other = ""
    if values.get(LPIPS[0]) is None and values.get(LPIPS[1]) is not None:
        other = f"; {LPIPS[1]} counts, as it was not measured on VGG"
    missing = [part for part in parts if part.points is None and part.weight]
    if not missing:
        return f"all parts measured{other}"
    left = math.fsum(part.weight for part in parts if part.points is not None)
    names = ", ".join(part.measure for part in missing)
    if not left:
        return f"no score: nothing that has a weight was measured ({names})"
    scaled = f"without {names}, which could not be measured; the other weights ({left:g}) were scaled to 1"
    return f"{scaled}{other}"
