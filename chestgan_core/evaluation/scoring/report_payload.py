"""What report.json holds, as typed data: the rows of a metric report and what they are about.

Out: plain data for JSON (as_json) and a score card for a terminal (as_text). Imports nothing heavy.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import groupby
from typing import Any, Literal

from chestgan_core.config.dataset import ImageKind
from chestgan_core.evaluation.reader_study import ReaderStudyBlock
from chestgan_core.evaluation.scoring.attack_block import AttackBlock
from chestgan_core.evaluation.scoring.gate import GateResult
from chestgan_core.evaluation.scoring.group_block import GroupBlock
from chestgan_core.evaluation.scoring.metric_rows import (
    APART,
    CONDITION_GROUPS,
    MEASURES,
    PIXELS,
    MetricRow,
    first_opinions,
    second_opinions,
)
from chestgan_core.evaluation.scoring.provenance import DataFacts, RunFacts
from chestgan_core.evaluation.scoring.tumour_block import TumourBlock
from chestgan_core.evaluation.thesis.block import ThesisBlock
from chestgan_core.imaging.windows import Window

TERMINAL_WIDTH = 110
THOUSANDTHS = " x 1000"
# Which values of a measure are better, for readers.
BETTER = {"lower": "lower", "higher": "higher", "floor": "near floor", "half": "near 50%"}


@dataclass(frozen=True)
class ExtractorInfo:
    """A feature network of a report. id: network, weights and preprocessing; "" where it was not available."""

    name: str
    id: str
    about: str


@dataclass(frozen=True, kw_only=True)
class ReportPayload:
    """The rows of a report and what they are about.

    source_title: title of the real data. image_kind: the word for one of its images. resolution: pixels per side.
    provenance: printed as it is. gate, data, run: None for a report on files. reader_study: what people saw in
    images of the same generator; None where no study of them has a result. tumours: of an experiment that places them.
    attacks: what membership attacks found; None where none were run. groups: how well each group of patients is
    covered; None where nothing is known of the images, or they are of one patient.
    """

    source_title: str
    image_kind: ImageKind
    model_title: str
    window: Window
    resolution: int
    patients_real: int
    rows: tuple[MetricRow, ...]
    extractors: tuple[ExtractorInfo, ...]
    provenance: dict[str, Any]
    thesis: ThesisBlock | None = None
    gate: GateResult | None = None
    data: DataFacts | None = None
    run: RunFacts | None = None
    reader_study: ReaderStudyBlock | None = None
    tumours: TumourBlock | None = None
    attacks: AttackBlock | None = None
    groups: GroupBlock | None = None
    kind: Literal["metric-report"] = "metric-report"

    def row(self, measure: str) -> MetricRow | None:
        """The first row of a measure."""
        return next((row for row in self.rows if row.measure == measure), None)

    @property
    def headline(self) -> list[MetricRow]:
        """The rows without those of further extractors."""
        return first_opinions(self.rows)

    @property
    def second_opinions(self) -> list[MetricRow]:
        """The rows of further extractors, which headline and gate do not look at."""
        return second_opinions(self.rows)

    def as_json(self) -> dict[str, Any]:
        """Plain data for report.json and standard output."""
        values = {field.name: getattr(self, field.name) for field in fields(ReportPayload)}
        values["window"] = asdict(self.window)
        values["rows"] = [asdict(row) for row in self.rows]
        values["extractors"] = [asdict(extractor) for extractor in self.extractors]
        for name in ("thesis", "gate", "data", "run", "reader_study", "tumours", "attacks", "groups"):
            values[name] = None if values[name] is None else asdict(values[name])
        return values

    def as_text(self) -> str:
        """The score card for a terminal of 110 columns: one line per measure, below what all measures share."""
        lines = [_wrapped(f"{self.model_title}, against {self.source_title}")]
        of_images = [row for row in self.headline if row.group not in APART]
        for extractor, rows in groupby(of_images, lambda row: row.extractor):
            lines += _score_card(extractor, list(rows), self.image_kind)
        lines += _second_opinions_card(self.second_opinions)
        lines += _attacks_card(self.attacks, [row for row in self.rows if row.group == "attack"])
        lines += _conditions_card([row for row in self.rows if row.group in CONDITION_GROUPS])
        if self.groups:
            lines += ["", _wrapped(f"groups of patients: {self.groups.sentence}", "  ")]
        if self.gate:
            lines += ["", _wrapped(f"release gate: {self.gate.line()}", "  ")]
        if self.reader_study:
            lines += ["", _wrapped(self.reader_study.as_text(), "  ")]
        if self.thesis:
            lines += ["", _wrapped(self.thesis.as_text(), "  ")]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class RunReport(ReportPayload):
    """The payload of a report on a run in the store, which always has data, run and gate."""

    gate: GateResult = field()  # without field() they would have the defaults of a report on files
    data: DataFacts = field()
    run: RunFacts = field()


def _score_card(extractor: str, rows: Sequence[MetricRow], image_kind: ImageKind) -> list[str]:
    """The lines of one extractor, or of the pixels: a heading per group, one line per measure, then what is missing."""
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
            f"  {'':24} {'value':20} {'95 % interval':22} {f'{image_kind} against {image_kind}':24} better",
        ]
    for group, members in groupby(measured, lambda row: row.group):
        lines.append(f"  {group}")
        for row in members:
            value, floor = row.number(row.value, row.sd), row.number(row.floor, row.floor_sd)
            interval = row.interval or "none"
            lines.append(f"    {row.measure:22} {value:20} {interval:22} {floor:24} {BETTER[row.better]}")
    return [*lines, *(_wrapped(line, "  ") for line in _not_measured(rows))]


def _second_opinions_card(rows: Sequence[MetricRow]) -> list[str]:
    """The lines of further extractors, side by side for each measure; none where there are none."""
    measured = [row for row in rows if row.value is not None]
    lines = ["", "  second opinions: by other extractors, whose numbers compare only with their own floor"]
    for name, members in groupby(sorted(measured, key=_by_measure), lambda row: row.measure):
        for row in members:
            texts = (
                row.number(row.value, row.sd),
                row.interval or "none",
                row.number(row.floor, row.floor_sd),
            )
            value, interval, floor = (text.removesuffix(THOUSANDTHS) for text in texts)
            title = f"{name}{THOUSANDTHS if texts[0].endswith(THOUSANDTHS) else ''}"
            extractor = row.extractor.partition(":")[0]
            lines.append(f"    {title:18} {extractor:19} {value:20} {interval:22} {floor:18}".rstrip())
    missing = {row.extractor: row.note for row in rows if row.value is None and row.measure == "KID"}
    lines += [_wrapped(f"{extractor}: {note}", "    ") for extractor, note in missing.items()]
    return lines if rows else []


def _by_measure(row: MetricRow) -> int:
    return list(MEASURES).index(row.measure)


def _attacks_card(block: AttackBlock | None, rows: Sequence[MetricRow]) -> list[str]:
    """What membership attacks found, beside their control; or why there is nothing; nothing where none were run."""
    lines = ["", _wrapped(block.verdict, "  ")] if block else []
    return [*lines, *_beside_floors(rows, "control")]


def _conditions_card(rows: Sequence[MetricRow]) -> list[str]:
    """The lines of what was asked of the images, each beside its own floor; none where nothing was."""
    first = next((row for row in rows if row.value is not None), None)
    lines = []
    if first:
        counts = f"{first.n_real} + {first.n_fake} synthetic images; {first.split}"
        lines += ["", _wrapped(f"what was asked of them: {counts}", "  ")]
    return [*lines, *_beside_floors(rows, "floor")]


def _beside_floors(rows: Sequence[MetricRow], of_floor: str) -> list[str]:
    """A line for each row with a value, then what is missing. of_floor: what a floor is called."""
    measured = [row for row in rows if row.value is not None]
    lines = []
    if measured:
        lines.append(f"  {'':35} {'value':10} {'95 % interval':20} {of_floor:10} better")
    for row in measured:
        value, floor = row.number(row.value), row.number(row.floor)
        interval = row.interval or "none"
        lines.append(f"    {row.measure:33} {value:10} {interval:20} {floor:10} {BETTER[row.better]}")
    return [*lines, *(_wrapped(line, "  ") for line in _not_measured(rows))]


def _not_measured(rows: Sequence[MetricRow]) -> list[str]:
    """One line per reason: the measures without a value, and why."""
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
