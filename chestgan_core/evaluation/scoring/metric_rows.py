"""The rows of a metric report: each measure with its interval, floor, sample sizes, extractor, split and seed.

In: measurements. Out: one MetricRow per measure. MEASURES is the table of all measures. Imports nothing heavy.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from chestgan_core.metrics.bootstrap import Interval

# floor: the nearest to the floor is best; half: the nearest to 0.5 is.
Better: TypeAlias = Literal["lower", "higher", "floor", "half"]
Group: TypeAlias = Literal[
    "distance",
    "manifold",
    "diversity",
    "plausibility",
    "classifier",
    "utility",
    "memorization",
    "attack",
    "tumour",
    "detection",
    "subject",
]


@dataclass(frozen=True)
class Measure:
    """What is true of a measure in every report. display: how its values are printed; percent: of a fraction."""

    better: Better
    group: Group
    display: Literal["x 1000", "percent", "number"] = "number"


# All measures by their names in report.json, in the order of the report.
MEASURES: dict[str, Measure] = {
    "KID": Measure("lower", "distance", "x 1000"),
    "FID": Measure("lower", "distance"),
    "FID ratio": Measure("higher", "distance"),
    "precision": Measure("higher", "manifold", "percent"),
    "recall": Measure("higher", "manifold", "percent"),
    "density": Measure("higher", "manifold"),
    "coverage": Measure("higher", "manifold", "percent"),
    "MS-SSIM": Measure("floor", "diversity"),
    "pairwise distance": Measure("floor", "diversity"),
    "nearest other distance": Measure("floor", "diversity"),
    "KS grey levels": Measure("lower", "plausibility"),
    "air fraction": Measure("floor", "plausibility", "percent"),
    "lung fraction": Measure("floor", "plausibility", "percent"),
    "soft tissue fraction": Measure("floor", "plausibility", "percent"),
    "bone fraction": Measure("floor", "plausibility", "percent"),
    "lung area": Measure("floor", "plausibility", "percent"),
    "AUC": Measure("lower", "classifier"),
    "utility": Measure("higher", "utility"),
    "utility ceiling": Measure("higher", "utility"),
    "memorized fraction": Measure("half", "memorization", "percent"),
    "attack AUC": Measure("lower", "attack"),
    "attack true positives": Measure("lower", "attack", "percent"),
    "placement": Measure("higher", "tumour", "percent"),
    "placement ceiling": Measure("higher", "tumour", "percent"),
    "false tumours": Measure("lower", "tumour"),
    "tumour contrast KS": Measure("lower", "tumour"),
    "tumour size KS": Measure("lower", "tumour"),
    "tumour rim KS": Measure("lower", "tumour"),
    "pair change inside": Measure("higher", "tumour", "percent"),
    "pair change outside": Measure("lower", "tumour", "percent"),
    "detection utility": Measure("higher", "detection"),
    "detection utility ceiling": Measure("higher", "detection"),
    "detection utility of both": Measure("higher", "detection"),
    "detection utility of augmentation": Measure("higher", "detection"),
    "detection utility of all": Measure("higher", "detection"),
    "detection sensitivity": Measure("higher", "detection", "percent"),
    "detection sensitivity ceiling": Measure("higher", "detection", "percent"),
    "neighbour similarity": Measure("floor", "subject"),
    "tumour volume": Measure("floor", "subject", "percent"),
}
PIXELS = "pixels"
NOT_FINITE = "the result is not a finite number"
# Begins the note of a row on which no rule may judge, because there is too little to judge by; then comes the reason,
# up to a semicolon.
NOT_ASKED = "not asked for: "
NOTHING_SHOWN = "not measured: the synthetic images"
# Printed in tenths of a percent, as those of plausibility.
TENTHS = ("pair change outside",)
# Printed in percent, and may be more than 100.
RATIOS = ("pair change outside", "tumour volume")
# Of experiments with conditions: what is asked of an image, and whether it shows it.
CONDITION_GROUPS: tuple[Group, ...] = ("tumour", "detection", "subject")
# Those whose rows stand in tables of their own: they compare other images than the rest, beside other floors.
APART: tuple[Group, ...] = ("attack", *CONDITION_GROUPS)
# Measures that need a feature network.
FEATURE_MEASURES = tuple(
    name for name, measure in MEASURES.items() if measure.group not in ("diversity", "plausibility", *APART)
)


@dataclass(frozen=True)
class MetricRow:
    """One measure with one extractor.

    value: None where it was not measured, with the reason in note. sd: standard error, where it is known. low, high:
    95 % interval by bootstrap over the real patients, or None. floor: the measure between two groups of real patients,
    floor_n images each; None with the reason in floor_note. n_real, n_fake: images of the two sides. seconds: of the
    computation, without that of the features. snapshot: version of the training set of both real sides; "" for files.
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
        """A value of this measure as it is printed: KID x 1000, fractions in percent, `none` if absent."""
        if value is None:
            return "none"
        return (
            f"{self._digits(value)}{'' if sd is None else f' ± {self._digits(sd, like=value)}'}{self._unit}"
        )

    @property
    def interval(self) -> str:
        """The 95 % interval as it is printed; "" where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{self._digits(self.low)} to {self._digits(self.high)}{self._unit}"

    @property
    def ends(self) -> tuple[float, float] | None:
        """The 95 % interval; else two standard errors to each side; None where neither is known."""
        if self.low is not None and self.high is not None:
            return self.low, self.high
        if self.value is None or self.sd is None:
            return None
        return self.value - 2 * self.sd, self.value + 2 * self.sd

    @property
    def _unit(self) -> str:
        return {"x 1000": " x 1000", "percent": "%", "number": ""}[MEASURES[self.measure].display]

    def _digits(self, value: float, like: float | None = None) -> str:
        display = MEASURES[self.measure].display
        if display == "x 1000":
            return f"{value * 1000:.1f}"
        if display == "percent":
            return f"{value * 100:.{int(self.group == 'plausibility' or self.measure in TENTHS)}f}"
        return f"{value:.2f}" if abs(value if like is None else like) < 10 else f"{value:.1f}"


Row = TypeVar("Row", bound=MetricRow)


def second_opinions(rows: Iterable[Row]) -> list[Row]:
    """The rows of measures on features by other extractors than the first one, whose rows are the headline's and the
    gate's.
    """
    of_features = [row for row in rows if row.measure in FEATURE_MEASURES]
    return [row for row in of_features if row.extractor != of_features[0].extractor]


def first_opinions(rows: Iterable[Row]) -> list[Row]:
    """All other rows: those of the first extractor, of pixels, and of what stands in tables of its own."""
    every = list(rows)
    others = {id(row) for row in second_opinions(every)}
    return [row for row in every if id(row) not in others]


def not_asked_for(row: MetricRow) -> str:
    """Why no rule may judge by this row; "" where one may."""
    return row.note.removeprefix(NOT_ASKED).partition(";")[0] if row.note.startswith(NOT_ASKED) else ""


def difference_shown(one: MetricRow, other: MetricRow) -> bool:
    """Whether the values of two rows of a measure differ by more than chance may explain: their intervals are known
    and do not overlap. What different instruments measured shows no difference.
    """
    if one.ends is None or other.ends is None or one.extractor != other.extractor:
        return False
    return one.ends[1] < other.ends[0] or other.ends[1] < one.ends[0]


@dataclass(frozen=True)
class FloorValue:
    """The floor of a measure. n: images on each side. note: which images, or why there is no floor."""

    value: float | None = None
    note: str = "no floor"
    n: int = 0
    sd: float | None = None


@dataclass(frozen=True)
class Measurement:
    """A measure before it is a row. value: None where it was not measured, with the reason in note."""

    value: float | None
    note: str
    sd: float | None = None
    interval: "Interval | None" = None
    floor: FloorValue = FloorValue()


@dataclass(frozen=True)
class RowContext:
    """What all rows of one extractor share. counts: images of the real and of the synthetic side."""

    extractor: str
    counts: tuple[int, int]
    split: str
    snapshot: str
    seed: int

    def rows(self, measure: Callable[[], Mapping[str, Measurement]]) -> list[MetricRow]:
        """Rows of measures that are computed together, with the seconds that this took."""
        started = time.perf_counter()
        found = measure()
        seconds = round(time.perf_counter() - started, 3)
        return [self._row(name, measurement, seconds) for name, measurement in found.items()]

    def absent(self, reason: str, measures: Sequence[str]) -> list[MetricRow]:
        """Rows without a value."""
        return self.rows(lambda: {name: Measurement(None, f"not measured: {reason}") for name in measures})

    def _row(self, measure: str, found: Measurement, seconds: float) -> MetricRow:
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
    """JSON has no NaN: such a value becomes None and its note says so; the release gate reads that note."""
    return (value, note) if value is None or math.isfinite(value) else (None, f"{NOT_FINITE}; {note}")


def _bounded(measure: str, interval: "Interval | None") -> tuple[float | None, float | None]:
    """Clip the intervals of fractions, of AUC and of average precision to 0 to 1: those from a spread may leave it."""
    if interval is None:
        return None, None
    known = MEASURES[measure]
    bounded = known.display == "percent" or known.group in ("classifier", "utility", "attack", "detection")
    if measure in RATIOS or not bounded:
        return interval
    return max(interval[0], 0.0), min(interval[1], 1.0)
