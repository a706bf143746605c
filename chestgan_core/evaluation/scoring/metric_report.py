"""What a metric report holds, as data: rows, what they are about, and the images behind the figures.

Out: plain data for JSON (as_json) and a table for a terminal (as_text).
"""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from torch import Tensor

from chestgan_core.config.dataset import ImageKind
from chestgan_core.evaluation.scoring.closest import Closest
from chestgan_core.evaluation.scoring.feature_metrics import Features
from chestgan_core.evaluation.scoring.gate import Gate
from chestgan_core.evaluation.scoring.metric_rows import PIXELS, MetricRow
from chestgan_core.evaluation.thesis.block import ThesisBlock
from chestgan_core.imaging.windows import Window

TERMINAL_WIDTH = 110
# How a reader is told which way is better.
BETTER = {"lower": "lower", "higher": "higher", "floor": "near floor"}


@dataclass(frozen=True)
class Pictures:
    """What the figures show; not part of the JSON.

    samples: role -> some images (k, 1, H, W), drawn by the seed. grey: role -> all images of the comparison.
    features: role -> (n, d) of the first extractor that could be had; empty without one. closest: the synthetic images
    most like one trained on; None where those are not given.
    Roles are real, synthetic and other (images of other patients, for the floor). Real and other are what the
    report's word says.
    """

    samples: dict[str, Tensor]
    grey: dict[str, Tensor]
    features: dict[str, Features]
    closest: Closest | None


@dataclass(frozen=True)
class MetricReport:
    """Rows and what they are about. provenance: printed as is.

    source_title: how the data may be called. image_kind: how one of its images is called. gate: what the release rules
    of the experiment say; None for files that came without an experiment.
    """

    source_title: str
    image_kind: ImageKind
    model_title: str
    window: Window
    resolution: int
    patients_real: int
    rows: tuple[MetricRow, ...]
    extractors: tuple[dict[str, str], ...]
    provenance: dict[str, Any]
    pictures: Pictures = field(repr=False, compare=False)
    thesis: ThesisBlock | None = None
    gate: Gate | None = None
    # What provenance.py says of the training set and of the run; empty for files that came without them.
    data: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain data for report.json and standard output."""
        return {
            "kind": "metric-report",
            "source": self.source_title,
            "image_kind": self.image_kind,
            "model": self.model_title,
            "window": asdict(self.window),
            "resolution": self.resolution,
            "patients_real": self.patients_real,
            "rows": [asdict(row) for row in self.rows],
            "extractors": list(self.extractors),
            "provenance": self.provenance,
            "thesis": None if self.thesis is None else self.thesis.as_json(),
            "gate": None if self.gate is None else self.gate.as_json(),
            "data": self.data,
            "run": self.run,
        }

    def as_text(self) -> str:
        """The score card for a terminal of 110 columns: one line a measure, under what all of them share."""
        lines = [_wrapped(f"{self.model_title}, against {self.source_title}")]
        for extractor, rows in groupby(self.rows, lambda row: row.extractor):
            lines += _score_card(extractor, list(rows), self.image_kind)
        if self.gate:
            lines += ["", _wrapped(f"release gate: {self.gate.line()}", "  ")]
        if self.thesis:
            lines += ["", _wrapped(self.thesis.as_text(), "  ")]
        return "\n".join(lines)


def _score_card(extractor: str, rows: Sequence[MetricRow], image_kind: ImageKind) -> list[str]:
    """The lines of one extractor, or of the pixels: a heading a group, one line a measure, then what is missing."""
    first = rows[0]
    lines = (
        ["", "  pixels, without a network"]
        if extractor == PIXELS
        else [_wrapped(f"features: {extractor}", "  ")]
    )
    measured = [row for row in rows if row.value is not None]
    if measured and extractor != PIXELS:
        floor = (
            f"{first.floor_n} + {first.floor_n} ({first.floor_note})" if first.floor_n else first.floor_note
        )
        lines += [
            _wrapped(f"images: {first.n_real} {image_kind}, {first.n_fake} synthetic; {first.split}", "  "),
            _wrapped(f"{image_kind} against {image_kind}: {floor}", "  "),
            "",
            f"  {'':17} {'value':20} {'95 % interval':22} {f'{image_kind} against {image_kind}':24} better",
        ]
    for group, some in groupby(measured, lambda row: row.group):
        lines.append(f"  {group}")
        for row in some:
            value, under = row.number(row.value, row.sd), row.number(row.floor, row.floor_sd)
            lines.append(
                f"    {row.measure:15} {value:20} {row.interval or 'none':22} {under:24} {BETTER[row.better]}"
            )
    return [*lines, *(_wrapped(line, "  ") for line in not_measured(rows))]


def not_measured(rows: Sequence[MetricRow]) -> list[str]:
    """One line a reason: the measures without a value, and why."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.value is None:
            reasons.setdefault(row.note, []).append(row.measure)
    return [f"{', '.join(names)} {note}" for note, names in reasons.items()]


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text,
        TERMINAL_WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )
