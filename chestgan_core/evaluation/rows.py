"""The rows of a metric report: each measure with its floor, sample sizes, extractor, split and seed.

In: (n, d) features of real and of synthetic images, and of two groups of real patients for the floor.
Out: one MetricRow a measure.
"""

import time
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chestgan_core.measures.distances import fid, kid
from chestgan_core.measures.manifolds import NEIGHBOURS, manifolds

Features = NDArray[np.float32]
# floor: nearest to the floor is best.
Better: TypeAlias = Literal["lower", "higher", "floor"]
Group: TypeAlias = Literal[
    "distance", "manifold", "diversity", "plausibility", "classifier", "utility", "memorization"
]


@dataclass(frozen=True)
class Measure:
    """What is true of a measure in every report. shown: how people read its numbers."""

    better: Better
    group: Group
    shown: Literal["x 1000", "share", "number"] = "number"


# All measures by the name that report.json gives them, in the order in which they are told.
MEASURES: dict[str, Measure] = {
    "KID": Measure("lower", "distance", "x 1000"),
    "FID": Measure("lower", "distance"),
    "FID ratio": Measure("higher", "distance"),
    "precision": Measure("higher", "manifold", "share"),
    "recall": Measure("higher", "manifold", "share"),
    "density": Measure("higher", "manifold"),
    "coverage": Measure("higher", "manifold", "share"),
    "MS-SSIM": Measure("floor", "diversity"),
    "KS grey levels": Measure("lower", "plausibility"),
    "air share": Measure("floor", "plausibility", "share"),
    "lung share": Measure("floor", "plausibility", "share"),
    "soft share": Measure("floor", "plausibility", "share"),
    "bone share": Measure("floor", "plausibility", "share"),
    "lung area": Measure("floor", "plausibility", "share"),
    "AUC": Measure("lower", "classifier"),
    "utility": Measure("higher", "utility"),
    "utility ceiling": Measure("higher", "utility"),
    "memorized share": Measure("lower", "memorization", "share"),
}
OF_FEATURES = ("KID", "FID", "density", "coverage", "precision", "recall")


@dataclass(frozen=True)
class MetricRow:
    """One measure of one extractor.

    group: what it is about. sd: standard error where it is known, see note. low, high: 95 % interval, by bootstrap over
    the real patients; None where there is none, see note. floor: the measure between two groups of real patients,
    floor_n images each; None with the reason in floor_note. seconds: from the features on. snapshot: version of the
    training set that both real sides are of; empty for loose files.
    """

    measure: str
    group: Group
    better: Better
    value: float | None
    sd: float | None
    low: float | None
    high: float | None
    floor: float | None
    floor_sd: float | None
    floor_n: int
    extractor: str
    n_real: int
    n_fake: int
    split: str
    snapshot: str
    seed: int
    seconds: float
    note: str
    floor_note: str

    def number(self, value: float | None, sd: float | None = None) -> str:
        """A value of this measure as people read it: KID times 1000, shares in percent, `none` if absent."""
        if value is None:
            return "none"
        shown = MEASURES[self.measure].shown
        if shown == "x 1000":
            spread = "" if sd is None else f" ± {sd * 1000:.1f}"
            return f"{value * 1000:.1f}{spread} x 1000"
        if shown == "share":
            return f"{value:.0%}"
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


@dataclass(frozen=True)
class Floor:
    """Two groups of real images of different patients, equally many; empty where there is no floor. note:
    which.
    """

    first: Features
    second: Features
    note: str


def measured_rows(
    real: Features, fake: Features, floor: Floor, extractor: str, split: str, snapshot: str, seed: int
) -> list[MetricRow]:
    """All measures of one extractor. real, fake: (n, d); more than NEIGHBOURS images on each side."""
    rows = []
    for measure_some in (_kid, _fid, _manifolds):
        started = time.perf_counter()
        values = measure_some(real, fake, seed)
        floors = measure_some(floor.first, floor.second, seed) if len(floor.first) else {}
        seconds = round(time.perf_counter() - started, 3)
        for measure, found in values.items():
            under = floors.get(measure)
            rows.append(
                MetricRow(
                    measure=measure,
                    group=MEASURES[measure].group,
                    better=MEASURES[measure].better,
                    value=found.value,
                    sd=found.sd,
                    low=None,
                    high=None,
                    floor=under.value if under else None,
                    floor_sd=under.sd if under else None,
                    floor_n=len(floor.first),
                    extractor=extractor,
                    n_real=len(real),
                    n_fake=len(fake),
                    split=split,
                    snapshot=snapshot,
                    seed=seed,
                    seconds=seconds,
                    note=found.note,
                    floor_note=floor.note,
                )
            )
    return rows


def absent_rows(
    extractor: str, reason: str, count: int, split: str, snapshot: str, seed: int
) -> list[MetricRow]:
    """The same measures without a value: the extractor cannot be had. count: images on each side."""
    return [
        MetricRow(
            measure=measure,
            group=MEASURES[measure].group,
            better=MEASURES[measure].better,
            value=None,
            sd=None,
            low=None,
            high=None,
            floor=None,
            floor_sd=None,
            floor_n=0,
            extractor=extractor,
            n_real=count,
            n_fake=count,
            split=split,
            snapshot=snapshot,
            seed=seed,
            seconds=0.0,
            note=f"not measured: {reason}",
            floor_note="not measured",
        )
        for measure in OF_FEATURES
    ]


@dataclass(frozen=True)
class _Found:
    value: float
    sd: float | None
    note: str


def _kid(real: Features, fake: Features, seed: int) -> dict[str, _Found]:
    found = kid(real, fake, seed)
    note = f"unbiased, may be below 0; sd: {found.spread}, as if slices of one patient were independent"
    return {"KID": _Found(found.value, found.sd, note)}


def _fid(real: Features, fake: Features, seed: int) -> dict[str, _Found]:
    n, d = len(real), real.shape[1]
    note = f"biased upwards at small n: compare only at n = {n}"
    if n <= d:
        note += f"; n is not above the {d} features, so the covariances are rank-deficient"
    return {"FID": _Found(fid(real, fake), None, note)}


def _manifolds(real: Features, fake: Features, seed: int) -> dict[str, _Found]:
    found = asdict(manifolds(real, fake))
    note = f"balls to the {NEIGHBOURS}th nearest neighbour"
    return {name: _Found(found[name], None, note) for name in ("density", "coverage", "precision", "recall")}
