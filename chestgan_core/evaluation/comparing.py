"""The newest reports of several experiments beside each other, if they can be compared at all.

In: names of experiments, each with a report in the store. Out: a Comparison: what each report says, what differs
between their experiments, and the reasons why numbers must not be compared, where there are some. Two distances are
comparable when the same images of the same patients were on the real side, as many on both sides, under one extractor.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import pyarrow.parquet as pq

from chestgan_core import layout
from chestgan_core.artefacts import Artefact, parse_json
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.evaluation.figures import REAL_GRID, SYNTHETIC_GRID
from chestgan_core.evaluation.origin import in_words
from chestgan_core.evaluation.rows import MetricRow
from chestgan_core.sources.datasets import Word
from chestgan_core.store import Store

FEWEST, MOST = 2, 12


@dataclass(frozen=True)
class Compared:
    """One experiment. told: report.json. real, synthetic: plain grids of images, PNG. history, looks: of its run."""

    name: str
    version: str
    told: Mapping[str, Any]
    rows: tuple[MetricRow, ...]
    real: bytes
    synthetic: bytes
    history: tuple[Mapping[str, float | None], ...]
    looks: tuple[Mapping[str, float], ...]

    @property
    def run(self) -> Mapping[str, Any]:
        """The report's `run`."""
        found: Mapping[str, Any] = self.told["run"]
        return found

    def row(self, measure: str) -> MetricRow | None:
        """The first row of a measure."""
        return next((row for row in self.rows if row.measure == measure), None)


@dataclass(frozen=True)
class Comparison:
    """reasons: why the numbers cannot be compared; none where they can. settings: field of the experiment -> what each
    has, for the fields that differ.
    """

    experiments: tuple[Compared, ...]
    reasons: tuple[str, ...]
    settings: Mapping[str, tuple[str, ...]]

    @property
    def word(self) -> Word:
        """How an image of the real side is called."""
        word: Word = self.experiments[0].told["word"]
        return word

    @property
    def measures(self) -> tuple[str, ...]:
        """All measures, in the order of the reports."""
        return tuple(dict.fromkeys(row.measure for one in self.experiments for row in one.rows))

    def as_json(self) -> dict[str, Any]:
        """Plain data for comparison.json."""
        return {
            "kind": "comparison",
            "comparable": not self.reasons,
            "reasons": list(self.reasons),
            "settings": {name: list(values) for name, values in self.settings.items()},
            "experiments": [
                {"experiment": one.name, "report": one.version, "told": dict(one.told)}
                for one in self.experiments
            ],
        }


def compare(store: Store, names: Sequence[str]) -> Comparison:
    """The comparison of the newest reports of these experiments, in this order.

    Raises BadInput: fewer than two or more than twelve experiments, one twice, a report of an older version;
    NotInStore: an experiment without a report.
    """
    if not FEWEST <= len(names) <= MOST or len(set(names)) < len(names):
        raise BadInput(
            "the comparison", f"is of {len(names)} experiments", f"name {FEWEST} to {MOST} different ones"
        )
    found = tuple(_read(store, name) for name in names)
    return Comparison(found, tuple(_reasons(found)), _settings(found))


def with_a_report(store: Store, names: Sequence[str]) -> list[str]:
    """Those of the experiments that have a report."""
    return [name for name in names if store.head(layout.report_latest(name)) is not None]


def rows_of(told: Mapping[str, Any]) -> tuple[MetricRow, ...]:
    """The rows of a report.json. Raises TypeError for one of another version."""
    known = {field.name for field in fields(MetricRow)}
    return tuple(MetricRow(**{name: row[name] for name in row if name in known}) for row in told["rows"])


def _read(store: Store, name: str) -> Compared:
    try:
        pointer = store.get_pointer(layout.report_latest(name))[0]
    except NotInStore as error:
        raise NotInStore(f"experiment {name}", "has no report", "materialize metric_report first") from error
    key = layout.report_manifest(name, str(pointer["run"]), str(pointer["version"]))
    report = store.read_manifest(key)
    told = parse_json(store.read(report, "report.json"), store.uri(key))
    old = BadInput(f"the report of {name}", "is of an older version", "materialize metric_report")
    if not told.get("data") or not told.get("run"):
        raise old
    try:
        rows = rows_of(told)
    except (TypeError, KeyError):
        raise old from None
    run = store.read_manifest(layout.run_manifest(name, str(pointer["run"])))
    return Compared(
        name=name,
        version=str(pointer["version"]),
        told=told,
        rows=rows,
        real=store.read(report, f"figures/{REAL_GRID}"),
        synthetic=store.read(report, f"figures/{SYNTHETIC_GRID}"),
        history=_table(store, run, "history.parquet"),
        looks=_table(store, run, "looks.parquet"),
    )


def _table(store: Store, run: Artefact, name: str) -> tuple[dict[str, Any], ...]:
    return tuple(pq.read_table(io.BytesIO(store.read(run, name))).to_pylist())


def _reasons(found: Sequence[Compared]) -> list[str]:
    """What must be the same and is not, each with who has what."""
    reasons = []
    for what, read in (
        ("The dataset", lambda one: one.told["data"]["dataset"]),
        ("The snapshot of the data", lambda one: one.told["data"]["snapshot"]),
        ("The resolution", lambda one: f"{one.told['resolution']} pixels"),
        ("The window", lambda one: in_words(one.told["window"])),
        ("The classes", lambda one: in_words(one.run["experiment"]["classes"]) or "all"),
        ("The extractor", partial(_of_rows, "extractor")),
        ("The number of images", partial(_of_rows, "n_real", "n_fake")),
        ("The split", partial(_of_rows, "split")),
    ):
        having: dict[str, list[str]] = {}
        for one in found:
            having.setdefault(read(one), []).append(one.name)
        if len(having) > 1:
            who = "; ".join(f"{value} for {', '.join(names)}" for value, names in having.items())
            reasons.append(f"{what} is not the same: {who}.")
    reasons += [
        f"Nothing was measured for {one.name}: {one.rows[0].note if one.rows else 'its report is empty'}."
        for one in found
        if all(row.value is None for row in one.rows)
    ]
    return reasons


def _of_rows(*names_and_one: Any) -> str:
    *names, one = names_and_one
    values = {" + ".join(str(getattr(row, name)) for name in names) for row in one.rows}
    return ", ".join(sorted(values))


def _settings(found: Sequence[Compared]) -> dict[str, tuple[str, ...]]:
    told = [_flat(one.run["experiment"]) for one in found]
    names = dict.fromkeys(name for fields_of in told for name in fields_of)
    values = {name: tuple(fields_of.get(name, "") for fields_of in told) for name in names}
    return {
        name: tuple(value or "not set" for value in of_each)
        for name, of_each in values.items()
        if len(set(of_each)) > 1 and name not in ("name", "description")
    }


def _flat(section: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Fields by dotted name, in words."""
    flat: dict[str, str] = {}
    for name, value in section.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[before + name] = in_words(value)
    return flat
