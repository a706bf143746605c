"""What a report says about tumours besides its rows, as data: what was compared, and what detectors learned from which
images.

Out: plain data for JSON, and sentences about it. tumour_metrics.py and detection_metrics.py fill it. Imports nothing
heavy.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from chestgan_core.config.dataset import ImageKind

# What a detector was trained on.
Source: TypeAlias = Literal[
    "real", "synthetic", "real + synthetic", "real + augmentation", "real + synthetic + augmentation"
]
REAL: Source = "real"
SYNTHETIC: Source = "synthetic"
BOTH: Source = "real + synthetic"
AUGMENTED: Source = "real + augmentation"
ALL: Source = "real + synthetic + augmentation"
# Below these, the report says that its numbers about tumours are hardly more than examples.
FEW_SLICES, FEW_PATIENTS = 5, 5
PER_IMAGE = "false positives per image"


@dataclass(frozen=True)
class TumourCounts:
    """A side. images: of annotated patients, or synthetic. with_tumour: of them. patients: 0 where there are none."""

    images: int
    with_tumour: int
    tumours: int
    patients: int
    patients_with_tumour: int


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval over held-out patients; None where there is only one."""

    value: float
    low: float | None
    high: float | None

    def shown(self, signed: bool = False) -> str:
        """`0.62 (0.41 to 0.80)`."""
        form = "{:+.2f}" if signed else "{:.2f}"
        value = form.format(self.value)
        if self.low is None or self.high is None:
            return value
        return f"{value} ({form.format(self.low)} to {form.format(self.high)})"


@dataclass(frozen=True)
class Sensitivity:
    """Fraction of the tumours that are found at so many false positives per image."""

    rate: float
    found: Estimate


@dataclass(frozen=True)
class Learned:
    """What a detector learned. patients: real ones whose slices it was trained on, real_images of them. chance: average
    precision of its detections, exchanged between the images.
    """

    source: Source
    patients: int
    real_images: int
    synthetic_images: int
    average_precision: Estimate
    froc: tuple[Sensitivity, ...]
    chance: float

    def sensitivity(self, rate: float) -> Estimate | None:
        """At so many false positives per image."""
        return next((one.found for one in self.froc if one.rate == rate), None)


@dataclass(frozen=True)
class Gain:
    """Differences of average precision, on the same held-out patients.

    instead: real + synthetic less real + augmentation. besides: real + synthetic + augmentation less real +
    augmentation.
    """

    patients: int
    instead: Estimate
    besides: Estimate


def in_words(gain: Estimate) -> str:
    """What the interval of a difference shows."""
    if gain.low is None or gain.high is None:
        return "no difference shown: no interval"
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference shown"


@dataclass(frozen=True)
class TumourBlock:
    """detector: id of the detector, images_seen of its training, repetitions counted. learned: of each training set,
    all real patients first, then fewer. gains: from the fewest patients on.
    """

    detector: str
    images_seen: int
    train: TumourCounts
    held_out: TumourCounts
    synthetic: TumourCounts
    learned: tuple[Learned, ...]
    gains: tuple[Gain, ...]
    image_kind: ImageKind

    def of(self, source: Source, patients: int | None = None) -> Learned | None:
        """What was learned from all patients, or from so many of them."""
        return next(
            (one for one in self.learned if one.source == source and patients in (None, one.patients)), None
        )

    @property
    def patient_counts(self) -> tuple[int, ...]:
        """Numbers of real patients that detectors were trained on, ascending."""
        return tuple(sorted({one.patients for one in self.learned if one.source == REAL}))

    @property
    def worth(self) -> str:
        """How many real patients teach a detector as much as the synthetic images alone; "" where there is no curve.

        By the values: the intervals say how far this is chance.
        """
        counts, alone = self.patient_counts, self.of(SYNTHETIC)
        if len(counts) < 2 or alone is None:
            return ""
        kind = self.image_kind
        if alone.average_precision.value <= alone.chance:
            return f"Synthetic images alone are worth no {kind} patient: the detector finds no more than by chance"
        reached = 0
        for patients in counts:
            real = self.of(REAL, patients)
            if real is None or real.average_precision.value > alone.average_precision.value:
                break
            reached = patients
        if not reached:
            return f"Synthetic images alone are worth less than {counts[0]} {kind} patient"
        if reached == counts[-1]:
            return f"Synthetic images alone are worth all {reached} {kind} patients"
        after = counts[counts.index(reached) + 1]
        return f"Synthetic images alone are worth {reached} {kind} patient(s), and less than {after}"

    @property
    def caution(self) -> str:
        """How little the numbers say; "" where there are enough patients."""
        return few_tumours(self.held_out.with_tumour, self.held_out.patients_with_tumour, self.image_kind)


def few_tumours(slices: int, patients: int, kind: ImageKind) -> str:
    """Says that there are few; "" where there are enough. kind: the word for images that are not synthetic."""
    if slices >= FEW_SLICES and patients >= FEW_PATIENTS:
        return ""
    return (
        f"only {slices} held-out {kind} slice(s) of {patients} patient(s) show a tumour: the numbers are examples, and"
        " say next to nothing about other patients"
    )
