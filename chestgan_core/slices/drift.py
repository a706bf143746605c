"""What is new since a training set: slices of shards that it does not have, and whether they are of another kind.

In: the store, a version of a training set. Out: counts, a digest of the state, and the drift of the new slices. Rows
are read, no pixels. Drift is the two-sample Kolmogorov-Smirnov distance (largest gap between the two cumulative shares)
of means per patient: slices of one patient are not independent. It counts only where it is also larger than what equal
populations of these sizes give once in a hundred times (Smirnov 1948, shared among the measures).
"""

import io
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from chestgan_core.slices.candidates import StoredShard
from chestgan_core.slices.newest_slices import newest_slices
from chestgan_core.slices.training_set import ROWS, TrainingSet
from chestgan_core.store.artefacts import content_version
from chestgan_core.store.objects import PARALLEL
from chestgan_core.store.store import Store

MEASURED = ("lung_fraction", "pixel_mm", "thickness_mm")
CHANCE = 0.01


@dataclass(frozen=True)
class Drift:
    """distance: 0 to 1. least: what chance gives at most, at these numbers of patients."""

    measure: str
    distance: float
    least: float


@dataclass(frozen=True)
class News:
    """slices, patients: new or revised. known: slices in use by the training set. state: hex digest of all
    shards that are there now. drifts: by measure, empty where there is nothing to compare.
    """

    slices: int
    patients: int
    known: int
    state: str
    drifts: tuple[Drift, ...]


def news_since(store: Store, training_set: TrainingSet) -> News:
    """What was normalized since, in a dataset of DICOM series or of pictures. Raises NotInStore, DamagedObject."""
    dataset = training_set.dataset
    if dataset.has_hounsfield:
        found, _ = newest_slices(store, dataset)
    else:
        from chestgan_core.slices.image_slices import newest_image_slices

        found = dict(newest_image_slices(store, dataset))
    known = {(shard.stored.sha256, shard.stored.rows_sha256) for shard in training_set.shards}
    shards = [StoredShard.of(name, artefact) for name, artefact in sorted(found.items())]
    new = [shard for shard in shards if (shard.sha256, shard.rows_sha256) not in known]
    told = [text for shard in shards for text in (shard.sha256, shard.rows_sha256)]
    return News(
        slices=sum(shard.slices for shard in new),
        patients=len(new),
        known=sum(shard.slices for shard in training_set.shards),
        state=content_version(told),
        drifts=_drifts(store, training_set, new),
    )


def _drifts(store: Store, training_set: TrainingSet, new: Sequence[StoredShard]) -> tuple[Drift, ...]:
    if not new:
        return ()
    table = pq.read_table(
        io.BytesIO(store.read(training_set.artefact, ROWS)), columns=["patient", *MEASURED]
    ).to_pylist()
    with ThreadPoolExecutor(PARALLEL) as pool:
        rows = [row for rows in pool.map(lambda shard: shard.rows(store), new) for row in rows]
    drifts = []
    # 0 stands for what is not known (thickness, lung of a picture).
    for measure in MEASURED:
        before = patient_means((row["patient"], row[measure] or None) for row in table)
        now = patient_means((row.patient, getattr(row, measure) or None) for row in rows)
        if len(before) and len(now):
            least = chance_distance(len(before), len(now), CHANCE / len(MEASURED))
            drifts.append(Drift(measure, ks_distance(before, now), least))
    return tuple(drifts)


def patient_means(values: Iterable[tuple[str, float | None]]) -> np.ndarray:
    """(patients,) float64, sorted: the mean of each patient. What is not known is left out."""
    grouped: defaultdict[str, list[float]] = defaultdict(list)
    for patient, value in values:
        if value is not None and math.isfinite(value):
            grouped[patient].append(value)
    return np.sort([float(np.mean(told)) for told in grouped.values()])


def ks_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Largest gap between two cumulative shares. first, second: (n,), (m,) sorted, not empty."""
    at = np.concatenate([first, second])
    shares = [np.searchsorted(some, at, side="right") / len(some) for some in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())


def chance_distance(n: int, m: int, chance: float) -> float:
    """The distance that equal populations exceed with this chance (asymptotic); above 1 where there are too few."""
    return math.sqrt(-math.log(chance / 2) / 2 * (n + m) / (n * m))
