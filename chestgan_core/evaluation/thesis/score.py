"""The weighted score of the thesis system, 1 to 10, and its published numbers.

In: values of its five measures, and a weights file (thesis/weights.yaml, or the one that $CHESTGAN_THESIS_WEIGHTS
names). Out: a ThesisScore. What was not measured is left out, and the other weights are renormalized.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

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
    "LPIPS": {"DCGAN": 0.4830, "WGAN": 0.6763, "Vanilla": 0.7588},
    "inception score": {},
}
MODELS = ("DCGAN", "WGAN", "Vanilla")

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
    """One measure of a score. points: None where nothing was measured. weight: as in the weights file.

    effective_weight: after renormalizing; 0 where nothing was measured.
    """

    measure: str
    value: float | None
    points: float | None
    weight: float
    effective_weight: float


@dataclass(frozen=True)
class ThesisScore:
    """value: rounded as the thesis system does, 1 to 10; None where no part with a weight was measured.

    published: model -> the same formula on the published numbers.
    """

    value: int | None
    unrounded: float | None
    parts: tuple[ScorePart, ...]
    note: str
    published: dict[str, int]
    out_of: int = HIGHEST


def load_weights() -> Weights:
    """The weights in force. Raises BadInput: no such file, broken YAML, a wrong field (line, name and cause)."""
    path = Path(os.environ.get(VARIABLE) or SHIPPED)
    if not path.is_file():
        raise BadInput(VARIABLE, f"{path} is not a file", f"name a file like {SHIPPED.name}, or unset it")
    return validated(Weights, read_fields(path, "weights.yaml", BadInput), "weights", BadInput)


def thesis_score(values: Mapping[str, float | None], weights: Weights) -> ThesisScore:
    """The score of these values. values: measure -> value; None or absent: not measured."""
    parts, unrounded = _weighted(values, weights)
    published = {
        model: _weighted({measure: values.get(model) for measure, values in PUBLISHED.items()}, weights)[1]
        for model in MODELS
    }
    return ThesisScore(
        value=None if unrounded is None else round(unrounded),
        unrounded=unrounded,
        parts=parts,
        note=_note(parts),
        published={model: round(score) for model, score in published.items() if score is not None},
    )


def _weighted(
    values: Mapping[str, float | None], weights: Weights
) -> tuple[tuple[ScorePart, ...], float | None]:
    parts_by_measure = weights.parts()
    found = {measure: value for measure in parts_by_measure if (value := values.get(measure)) is not None}
    whole = math.fsum(parts_by_measure[measure].weight for measure in found)
    parts = tuple(
        ScorePart(
            measure,
            found.get(measure),
            part.points(found[measure]) if measure in found else None,
            part.weight,
            part.weight / whole if measure in found and whole else 0.0,
        )
        for measure, part in parts_by_measure.items()
    )
    if not whole:
        return parts, None
    total = math.fsum(part.effective_weight * part.points for part in parts if part.points is not None)
    # The sum may fall below the lowest mark of the scale.
    return parts, min(max(total, float(LOWEST)), float(HIGHEST))


def _note(parts: tuple[ScorePart, ...]) -> str:
    missing = [part for part in parts if part.points is None and part.weight]
    if not missing:
        return "all parts measured"
    left = math.fsum(part.weight for part in parts if part.points is not None)
    names = ", ".join(part.measure for part in missing)
    if not left:
        return f"no score: nothing that has a weight was measured ({names})"
    return f"without {names}, which could not be measured; the other weights ({left:g}) were scaled to 1"
