"""The newest reports of several experiments beside each other, if they can be compared at all.

In: names of experiments, each with a report in the store. Out: a Comparison: what each report says, what differs
between their experiments, and the reasons why numbers must not be compared, where there are some.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from chestgan_core.config.dataset import ImageKind
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.evaluation.pages.figures import REAL_GRID, SYNTHETIC_GRID
from chestgan_core.evaluation.scoring.provenance import in_words
from chestgan_core.evaluation.scoring.read_report import ReadReport, read_report, reasons_not_comparable
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact
from chestgan_core.store.store import Store

FEWEST, MOST = 2, 12


@dataclass(frozen=True)
class Compared(ReadReport):
    """One experiment. real, synthetic: plain grids of images, PNG. history, looks: of its run."""

    real: bytes
    synthetic: bytes
    history: tuple[Mapping[str, float | None], ...]
    looks: tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class Comparison:
    """reasons: why the numbers cannot be compared; none where they can. settings: field of the experiment -> what each
    has, for the fields that differ.
    """

    experiments: tuple[Compared, ...]
    reasons: tuple[str, ...]
    settings: Mapping[str, tuple[str, ...]]

    @property
    def image_kind(self) -> ImageKind:
        """How an image of the real side is called."""
        image_kind: ImageKind = self.experiments[0].told["image_kind"]
        return image_kind

    @property
    def measures(self) -> tuple[str, ...]:
        """All measures, in the order of the reports."""
        return tuple(dict.fromkeys(row.measure for one in self.experiments for row in one.rows))

    def floors(self, measure: str) -> list[float]:
        """The floors of a measure, the smallest first: more than one where the reports drew by different seeds."""
        rows = [one.row(measure) for one in self.experiments]
        return sorted({row.floor for row in rows if row is not None and row.floor is not None})

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
    return Comparison(found, tuple(reasons_not_comparable(found)), _settings(found))


def with_report(store: Store, names: Sequence[str]) -> list[str]:
    """Those of the experiments that have a report."""
    return [name for name in names if store.head(keys.report_latest(name)) is not None]


def _read(store: Store, name: str) -> Compared:
    try:
        pointer = store.get_pointer(keys.report_latest(name))[0]
    except NotInStore as error:
        raise NotInStore(f"experiment {name}", "has no report", "materialize metric_report first") from error
    key = keys.report_manifest(name, str(pointer["run"]), str(pointer["version"]))
    report = store.read_manifest(key)
    read = read_report(store, name, str(pointer["version"]), report)
    if read.is_old:
        raise BadInput(f"the report of {name}", "is of an older version", "materialize metric_report")
    run = store.read_manifest(keys.run_manifest(name, str(pointer["run"])))
    return Compared(
        **vars(read),
        real=store.read(report, f"figures/{REAL_GRID}"),
        synthetic=store.read(report, f"figures/{SYNTHETIC_GRID}"),
        history=_table(store, run, "history.parquet"),
        looks=_table(store, run, "validation.parquet"),
    )


def _table(store: Store, run: Artefact, name: str) -> tuple[dict[str, Any], ...]:
    return tuple(pq.read_table(io.BytesIO(store.read(run, name))).to_pylist())


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
    """Fields by name and that of their section, in words."""
    flat: dict[str, str] = {}
    for name, value in section.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, "" if name == "training" else f"{before}{name} ")
        else:
            flat[f"{before}{name}".replace("_", " ")] = in_words(value)
    return flat
