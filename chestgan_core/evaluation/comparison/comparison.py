"""The newest reports of several experiments side by side, if they are comparable at all.

In: names of experiments, each with a report in the store. Out: a Comparison: the reports, the fields in which the
experiments differ, and the reasons why numbers are not comparable, where there are any.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chestgan_core.config.dataset import ImageKind
from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.evaluation.pages.figures import REAL_GRID, SYNTHETIC_GRID
from chestgan_core.evaluation.scoring.provenance import in_words
from chestgan_core.evaluation.scoring.read_report import (
    ReadReport,
    comparison_key,
    newest_report,
    read_payload,
    read_report,
    reasons_not_comparable,
    require_report,
)
from chestgan_core.local.parquet import read_parquet
from chestgan_core.store import keys
from chestgan_core.store.artefacts import AGAIN, Artefact
from chestgan_core.store.store import Store

log = logging.getLogger(__name__)

MIN_EXPERIMENTS, MAX_EXPERIMENTS = 2, 12


@dataclass(frozen=True)
class ComparedExperiment(ReadReport):
    """One experiment. real, synthetic: plain grids of images, PNG. history, validations: rows of its run."""

    real: bytes
    synthetic: bytes
    history: tuple[Mapping[str, float | None], ...]
    validations: tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class Comparison:
    """Several experiments.

    reasons: why the numbers are not comparable; empty where they are. settings: field of the experiment -> its value in
    each, for the fields that differ.
    """

    experiments: tuple[ComparedExperiment, ...]
    reasons: tuple[str, ...]
    settings: Mapping[str, tuple[str, ...]]

    @property
    def image_kind(self) -> ImageKind:
        """The word for images of the real side."""
        return self.experiments[0].payload.image_kind

    @property
    def measures(self) -> tuple[str, ...]:
        """All measures, in the order of the reports."""
        return tuple(dict.fromkeys(row.measure for one in self.experiments for row in one.payload.rows))

    def floors(self, measure: str) -> list[float]:
        """The floors of a measure, the lowest first: several where the reports drew images by different seeds."""
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
                {"experiment": one.name, "version": one.version, "report": one.payload.as_json()}
                for one in self.experiments
            ],
        }


def compare(store: Store, names: Sequence[str]) -> Comparison:
    """The comparison of the newest reports of these experiments, in this order.

    Raises BadInput: fewer than two or more than twelve experiments, or one twice; NotInStore: an experiment without a
    report; DamagedObject: a report that is not as expected, such as one of another version.
    """
    if not MIN_EXPERIMENTS <= len(names) <= MAX_EXPERIMENTS or len(set(names)) < len(names):
        raise BadInput(
            "the comparison",
            f"is of {len(names)} experiments",
            f"name {MIN_EXPERIMENTS} to {MAX_EXPERIMENTS} different ones",
        )
    experiments = tuple(_read(store, name) for name in names)
    return Comparison(experiments, tuple(reasons_not_comparable(experiments)), _settings(experiments))


def with_report(store: Store, names: Sequence[str]) -> list[str]:
    """The experiments that have a report."""
    return [name for name in names if store.head(keys.report_latest(name)) is not None]


def comparable_experiments(store: Store, names: Sequence[str]) -> list[str]:
    """Those of the experiments whose newest reports can be compared: the largest such group, twelve of it at most.

    Of groups of one size, the first in the order of the names. Reports that cannot be read are left out. Raises
    BadInput: no two of the experiments are comparable.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    reported = []
    for name in names:
        try:
            newest = newest_report(store, name)
            if newest is None:
                continue
            payload = read_payload(store, newest.artefact)
        except (DamagedObject, NotInStore) as error:
            log.warning("not compared: %s", error)
            continue
        reported.append(ReadReport(name, newest.version, payload))
        groups.setdefault(comparison_key(payload), []).append(name)
    largest = max(groups.values(), key=len, default=[])
    if len(largest) >= MIN_EXPERIMENTS:
        return largest[:MAX_EXPERIMENTS]
    if len(reported) < MIN_EXPERIMENTS:
        who = f"only {reported[0].name} has a report" if reported else "no experiment has a report"
        raise BadInput("the comparison", who, "materialize metric_report of at least two experiments")
    raise BadInput(
        "the comparison",
        f"no two of {len(reported)} reports are comparable. {reasons_not_comparable(reported)[0]}",
        "train a second experiment on the same data, or name experiments to see them without ranks",
    )


def _read(store: Store, name: str) -> ComparedExperiment:
    newest = require_report(store, name)
    report = newest.artefact
    run = store.read_manifest(keys.run_manifest(name, newest.run))
    return ComparedExperiment(
        **vars(read_report(store, name, newest.version, report)),
        real=store.read(report, f"figures/{REAL_GRID}"),
        synthetic=store.read(report, f"figures/{SYNTHETIC_GRID}"),
        history=_table(store, run, "history.parquet"),
        validations=_table(store, run, "validation.parquet"),
    )


def _table(store: Store, run: Artefact, name: str) -> tuple[dict[str, Any], ...]:
    where = store.uri(run.manifest_key)
    return tuple(read_parquet(store.read(run, name), f"{where}: {name}", AGAIN).to_pylist())


def _settings(experiments: Sequence[ComparedExperiment]) -> dict[str, tuple[str, ...]]:
    fields = [_flat(one.payload.run.experiment) for one in experiments]
    names = dict.fromkeys(name for fields_of_one in fields for name in fields_of_one)
    values = {name: tuple(fields_of_one.get(name, "") for fields_of_one in fields) for name in names}
    return {
        name: tuple(value or "not set" for value in of_each)
        for name, of_each in values.items()
        if len(set(of_each)) > 1 and name not in ("name", "description")
    }


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Fields by their name and that of their section, in words."""
    flat: dict[str, str] = {}
    for name, value in section.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, "" if name == "training" else f"{prefix}{name} ")
        else:
            flat[f"{prefix}{name}".replace("_", " ")] = in_words(value)
    return flat
