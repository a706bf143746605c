"""What a metric report holds, as data: rows, what they are about, and the images behind the figures.

Out: plain data for JSON (as_json) and a table for a terminal (as_text).
"""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, Self

from torch import Tensor

from chestgan_core.evaluation.legacy import LegacyBlock
from chestgan_core.evaluation.rows import Features, MetricRow
from chestgan_core.slices.windows import Window
from chestgan_core.sources.datasets import Word

TERMINAL_WIDTH = 110


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
    Roles are real, synthetic and other (images of other patients, for the floor). Real and other are what the
    report's word says.
    """

    samples: dict[str, Tensor]
    grey: dict[str, Tensor]
    features: dict[str, Features]


@dataclass(frozen=True)
class MetricReport:
    """Rows and what they are about. provenance: printed as is.

    source_title: how the data may be called. word: how one of its images is called.
    """

    source_title: str
    word: Word
    model_title: str
    window: Window
    resolution: int
    patients_real: int
    rows: tuple[MetricRow, ...]
    extractors: tuple[dict[str, str], ...]
    provenance: dict[str, Any]
    pictures: Pictures = field(repr=False, compare=False)
    legacy: LegacyBlock | None = None
    # What origin.py says of the training set and of the run; empty for files that came without them.
    data: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain data for report.json and standard output."""
        return {
            "kind": "metric-report",
            "source": self.source_title,
            "word": self.word,
            "model": self.model_title,
            "window": asdict(self.window),
            "resolution": self.resolution,
            "patients_real": self.patients_real,
            "rows": [asdict(row) for row in self.rows],
            "extractors": list(self.extractors),
            "provenance": self.provenance,
            "legacy": None if self.legacy is None else self.legacy.as_json(),
            "data": self.data,
            "run": self.run,
        }

    def as_text(self) -> str:
        """The score card for a terminal of 110 columns: one line a measure, under what all of them share."""
        lines = [_wrapped(f"{self.model_title}, against {self.source_title}")]
        for extractor, rows in groupby(self.rows, lambda row: row.extractor):
            lines += _score_card(extractor, list(rows), self.word)
        if self.legacy:
            lines += ["", _wrapped(self.legacy.as_text(), "  ")]
        return "\n".join(lines)


def _score_card(extractor: str, rows: Sequence[MetricRow], word: Word) -> list[str]:
    """The lines of one extractor."""
    first = rows[0]
    lines = [_wrapped(f"features: {extractor}", "  ")]
    if first.value is None:
        return [*lines, _wrapped(f"{', '.join(row.measure for row in rows)} {first.note}", "  ")]
    floor = f"{first.floor_n} + {first.floor_n} ({first.floor_note})" if first.floor_n else first.floor_note
    lines += [
        _wrapped(f"images: {first.n_real} {word}, {first.n_fake} synthetic; {first.split}", "  "),
        _wrapped(f"{word} against {word}: {floor}", "  "),
        "",
        f"  {'':10} {'value':22} {f'{word} against {word}':24} better",
    ]
    for row in rows:
        value, under = row.number(row.value, row.sd), row.number(row.floor, row.floor_sd)
        lines.append(f"  {row.measure:10} {value:22} {under:24} {row.better}")
    return lines


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text,
        TERMINAL_WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )
