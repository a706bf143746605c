"""The rows of a metric report: each measure with its interval, floor, sample sizes, extractor, split and seed.

In: what was found. Out: one MetricRow a measure. MEASURES is the table of all of them.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from chestgan_core.metrics.bootstrap import Interval

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
PIXELS = "pixels"
NOT_FINITE = "came out as no finite number"
# Where a measure needs a feature network.
OF_FEATURES = tuple(
    name for name, measure in MEASURES.items() if measure.group not in ("diversity", "plausibility")
)


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
        return (
            f"{self._digits(value)}{'' if sd is None else f' ± {self._digits(sd, like=value)}'}{self._unit}"
        )

    @property
    def interval(self) -> str:
        """The 95 % interval as people read it; empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{self._digits(self.low)} to {self._digits(self.high)}{self._unit}"

    @property
    def _unit(self) -> str:
        return {"x 1000": " x 1000", "share": "%", "number": ""}[MEASURES[self.measure].shown]

    def _digits(self, value: float, like: float | None = None) -> str:
        shown = MEASURES[self.measure].shown
        if shown == "x 1000":
            return f"{value * 1000:.1f}"
        if shown == "share":
            return f"{value * 100:.{int(self.group == 'plausibility')}f}"
        return f"{value:.2f}" if abs(value if like is None else like) < 10 else f"{value:.1f}"


@dataclass(frozen=True)
class Under:
    """The floor of a measure. n: images on each side. note: which they are, or why there is no floor."""

    value: float | None = None
    note: str = "no floor"
    n: int = 0
    sd: float | None = None


@dataclass(frozen=True)
class Found:
    """A measure before it is a row. value: None where note says why not."""

    value: float | None
    note: str
    sd: float | None = None
    interval: Interval | None = None
    floor: Under = Under()


@dataclass(frozen=True)
class Measured:
    """What the rows of one extractor have in common. counts: images of the real and of the synthetic side."""

    extractor: str
    counts: tuple[int, int]
    split: str
    snapshot: str
    seed: int

    def rows(self, found: Callable[[], Mapping[str, Found]]) -> list[MetricRow]:
        """The rows of some measures that are found together, with the seconds that this took."""
        started = time.perf_counter()
        results = found()
        seconds = round(time.perf_counter() - started, 3)
        return [self._row(measure, result, seconds) for measure, result in results.items()]

    def absent(self, reason: str, measures: Sequence[str]) -> list[MetricRow]:
        """Rows without a value."""
        return self.rows(lambda: {name: Found(None, f"not measured: {reason}") for name in measures})

    def _row(self, measure: str, found: Found, seconds: float) -> MetricRow:
        value, note = _finite(found.value, found.note)
        floor, floor_note = _finite(found.floor.value, found.floor.note)
        low, high = (None, None) if value is None else _bounded(measure, found.interval)
        return MetricRow(
            measure=measure,
            group=MEASURES[measure].group,
            better=MEASURES[measure].better,
            value=value,
            sd=found.sd,
            low=low,
            high=high,
            floor=floor,
            floor_sd=found.floor.sd,
            floor_n=found.floor.n,
            extractor=self.extractor,
            n_real=self.counts[0],
            n_fake=self.counts[1],
            split=self.split,
            snapshot=self.snapshot,
            seed=self.seed,
            seconds=seconds,
            note=note,
            floor_note=floor_note,
        )


def _finite(value: float | None, note: str) -> tuple[float | None, str]:
    """JSON has no NaN: such a number is left out, and its note says so, which the release gate reads."""
    return (value, note) if value is None or math.isfinite(value) else (None, f"{NOT_FINITE}; {note}")


def _bounded(measure: str, interval: Interval | None) -> tuple[float | None, float | None]:
    """Shares and AUC lie between 0 and 1, which intervals from a spread do not know."""
    if interval is None:
        return None, None
    told = MEASURES[measure]
    if told.shown != "share" and told.group not in ("classifier", "utility"):
        return interval
    return max(interval[0], 0.0), min(interval[1], 1.0)
