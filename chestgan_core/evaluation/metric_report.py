"""What a metric report holds, as data: rows, what they are about, and the images behind the figures.

Out: plain data for JSON (as_json) and a table for a terminal (as_text).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from torch import Tensor

from chestgan_core.evaluation.rows import Features, MetricRow
from chestgan_core.slices.windows import Window


@dataclass(frozen=True)
class RealImages:
    """images: (N, 1, H, W) float32 in [-1, 1]; patients: the patient of each, N keys."""

    images: Tensor
    patients: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.images) != len(self.patients):
            raise ValueError(f"{len(self.images)} images, but {len(self.patients)} patients")

    def some(self, indices: Sequence[int]) -> Self:
        """The images at these places."""
        return type(self)(self.images[list(indices)], tuple(self.patients[index] for index in indices))


@dataclass(frozen=True)
class Pictures:
    """What the figures show; not part of the JSON.

    samples: role -> some images (k, 1, H, W), drawn by the seed. grey: role -> all images of the comparison.
    features: role -> (n, d) of the first extractor that could be had; empty without one.
    Roles are real, synthetic and other (real images of other patients).
    """

    samples: dict[str, Tensor]
    grey: dict[str, Tensor]
    features: dict[str, Features]


@dataclass(frozen=True)
class MetricReport:
    """Rows and what they are about. source_title: how the data may be called. provenance: printed as is."""

    source_title: str
    model_title: str
    window: Window
    resolution: int
    patients_real: int
    rows: tuple[MetricRow, ...]
    extractors: tuple[dict[str, str], ...]
    provenance: dict[str, Any]
    pictures: Pictures = field(repr=False, compare=False)

    def row(self, measure: str) -> MetricRow:
        """The row of the first extractor asked for; KeyError for an unknown measure."""
        return {row.measure: row for row in reversed(self.rows)}[measure]

    def as_json(self) -> dict[str, Any]:
        """Plain data for report.json and standard output."""
        return {
            "kind": "metric-report",
            "source": self.source_title,
            "model": self.model_title,
            "window_hu": asdict(self.window),
            "resolution": self.resolution,
            "patients_real": self.patients_real,
            "rows": [asdict(row) for row in self.rows],
            "extractors": list(self.extractors),
            "provenance": self.provenance,
        }

    def as_text(self) -> str:
        """The score card for a terminal: one line a measure."""
        lines = [f"{self.model_title} against {self.source_title}"]
        lines += [f"  {row.line()}" for row in self.rows]
        return "\n".join(lines)
