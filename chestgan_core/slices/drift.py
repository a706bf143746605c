"""Drift since a training set: how many slices are new, and whether they are distributed differently.

In: the store, a version of a training set. Out: counts, a digest of the shards, and the distance of the new slices in
each variable; whether tumours were drawn anew, and of how many slices that changes what is known. Rows are read, no
pixels. The distance is the two-sample Kolmogorov-Smirnov statistic (largest gap between the two cumulative
distributions) of means per patient: slices of one patient are not independent. It is significant above what equal
populations of these sizes exceed once in a hundred times (Smirnov 1948; Bonferroni over the variables).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from chestgan_core.config.dataset import Dataset
from chestgan_core.local.parquet import read_parquet
from chestgan_core.slices.candidates import StoredShard
from chestgan_core.slices.newest_slices import newest_slices
from chestgan_core.slices.training_rows import REMEDY, WHERE
from chestgan_core.slices.training_set import ROWS, TrainingSet
from chestgan_core.sources.annotations.stored import newest_annotations
from chestgan_core.store.artefacts import content_version
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.store import Store

VARIABLES = ("lung_fraction", "pixel_mm", "thickness_mm")
SIGNIFICANCE = 0.01


@dataclass(frozen=True)
class Shift:
    """Of one variable. distance: 0 to 1. critical: what chance alone rarely exceeds, at these numbers of patients."""

    variable: str
    distance: float
    critical: float


@dataclass(frozen=True)
class Drift:
    """slices, patients: new or revised. known: slices that the training set uses. state: digest of all present shards.
    shifts: per variable, empty where there is nothing to compare.
    """

    slices: int
    patients: int
    known: int
    state: str
    shifts: tuple[Shift, ...]


def drift_since(store: Store, training_set: TrainingSet) -> Drift:
    """The drift of the slices that were normalized since. Raises NotInStore, DamagedObject."""
    dataset = training_set.dataset
    shards = _present_shards(store, dataset)
    known = {(shard.stored.sha256, shard.stored.rows_sha256) for shard in training_set.shards}
    new = [shard for shard in shards if (shard.sha256, shard.rows_sha256) not in known]
    return Drift(
        slices=sum(shard.slices for shard in new),
        patients=len(new),
        known=sum(shard.slices for shard in training_set.shards),
        state=_state(shards),
        shifts=_shifts(store, training_set, new),
    )


def annotations_since(store: Store, training_set: TrainingSet) -> str:
    """Version of the newest annotations where the training set was built with others; "" where it was built with these.
    They may say the same of its slices. Raises DamagedObject.
    """
    newest = newest_annotations(store, training_set.dataset.name)
    return "" if newest == training_set.manifest.get("annotations", "") else newest


def changed_marks(store: Store, before: TrainingSet, after: TrainingSet) -> int:
    """How many slices are in one of two training sets only, or are in both with other tumours. Raises DamagedObject."""
    absent = object()
    old, new = before.marks(store), after.marks(store)
    return sum(old.get(one, absent) != new.get(one, absent) for one in old.keys() | new.keys())


def present_state(store: Store, dataset: Dataset) -> str:
    """A digest of the shards that a training set would be made of now: `Drift.state` without a training set to compare
    with. Raises NotInStore, DamagedObject.
    """
    return _state(_present_shards(store, dataset))


def _present_shards(store: Store, dataset: Dataset) -> list[StoredShard]:
    if dataset.has_hounsfield:
        found, _ = newest_slices(store, dataset)
    else:
        from chestgan_core.slices.image_slices import newest_image_slices

        found = dict(newest_image_slices(store, dataset))
    return [StoredShard.from_artefact(name, artefact) for name, artefact in sorted(found.items())]


def _state(shards: Sequence[StoredShard]) -> str:
    return content_version([digest for shard in shards for digest in (shard.sha256, shard.rows_sha256)])


def _shifts(store: Store, training_set: TrainingSet, new: Sequence[StoredShard]) -> tuple[Shift, ...]:
    if not new:
        return ()
    data = store.read(training_set.artefact, ROWS)
    table = read_parquet(data, WHERE, REMEDY, columns=["patient", *VARIABLES]).to_pylist()
    with ThreadPoolExecutor(PARALLEL) as pool:
        rows = [row for rows in pool.map(lambda shard: shard.rows(store), new) for row in rows]
    shifts = []
    # 0 stands for unknown (thickness, lung of a picture).
    for variable in VARIABLES:
        before = patient_means((row["patient"], row[variable] or None) for row in table)
        now = patient_means((row.patient, getattr(row, variable) or None) for row in rows)
        if len(before) and len(now):
            critical = critical_distance(len(before), len(now), SIGNIFICANCE / len(VARIABLES))
            shifts.append(Shift(variable, ks_distance(before, now), critical))
    return tuple(shifts)


def patient_means(values: Iterable[tuple[str, float | None]]) -> np.ndarray:
    """(patients,) float64, sorted: the mean of each patient. Unknown values (None, NaN) are left out."""
    grouped: defaultdict[str, list[float]] = defaultdict(list)
    for patient, value in values:
        if value is not None and math.isfinite(value):
            grouped[patient].append(value)
    return np.sort([float(np.mean(values)) for values in grouped.values()])


def ks_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Largest gap between two cumulative distributions, 0 to 1. first, second: (n,), (m,) sorted, not empty."""
    at = np.concatenate([first, second])
    below = [np.searchsorted(sample, at, side="right") / len(sample) for sample in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


def critical_distance(n: int, m: int, significance: float) -> float:
    """The distance that samples of one population exceed with this probability (asymptotic); above 1 for too few."""
    return math.sqrt(-math.log(significance / 2) / 2 * (n + m) / (n * m))
