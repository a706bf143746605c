"""What a reader study found, as plain data that goes to JSON and back.

In all of it "synthetic" is the positive finding. Sensitivity: share of the synthetic images that were called synthetic.
Specificity: share of the real images that were called real. Readers are numbers from 1: their names are not repeated.
What could not be computed is None, and a note says why; there is no NaN.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from chestgan_core.reading.design import StudyDesign, Truth

Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Scale: TypeAlias = Literal["verdict and confidence", "rating"]
Standing: TypeAlias = Literal["finished", "unfinished", "no answer"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(_Part):
    """95 %."""

    low: Finite
    high: Finite


class Estimate(_Part):
    """A number with its interval, where there is one."""

    value: Finite
    interval: Interval | None = None


class Proportion(_Part):
    """count of total, with the 95 % interval of Wilson; value None for a total of 0."""

    count: int
    total: int
    value: Finite | None = None
    interval: Interval | None = None


class Confusion(_Part):
    """Verdicts beside the truth. label: whose, or of which images."""

    label: str
    synthetic_called_synthetic: int
    synthetic_called_real: int
    real_called_real: int
    real_called_synthetic: int
    accuracy: Proportion
    sensitivity: Proportion
    specificity: Proportion


class ReaderRow(_Part):
    """One reader. answered: images that count. seconds: median per image; minutes: on all of this reader's images."""

    reader: int
    standing: Standing
    answered: int
    of: int
    seconds: Finite | None
    minutes: Finite


class ReaderCurve(_Part):
    """The empirical ROC curve of a reader. area: with an interval over images. corners: (false, true) fractions."""

    reader: int
    area: Estimate
    corners: tuple[tuple[Finite, Finite], ...]


class CrossCheck(_Part):
    """The analysis of variance of Obuchowski, Rockette and Hillis of the same scores."""

    standard_error: Finite
    degrees_of_freedom: Finite | None
    interval: Interval


class MeanCurve(_Part):
    """Mean over readers of the true fractions at each false fraction; low, high: 95 % band, point by point."""

    false_fractions: tuple[Finite, ...]
    true_fractions: tuple[Finite, ...]
    low: tuple[Finite, ...] = ()
    high: tuple[Finite, ...] = ()


class Roc(_Part):
    """Mean area of readers, each with the same weight. left_out: readers with too few images for it.

    finished: the same mean over those who answered every image, where others are in `area`.
    """

    scale: Scale
    area: Estimate
    finished: Estimate | None
    cross_check: CrossCheck | None
    readers: int
    left_out: int
    synthetic_images: int
    real_images: int
    patients: int
    curves: tuple[ReaderCurve, ...]
    mean_curve: MeanCurve


class RatingSide(_Part):
    """counts: of the ratings 1 to 10."""

    truth: Truth
    counts: tuple[int, int, int, int, int, int, int, int, int, int]
    mean: Finite | None
    median: Finite | None


class Ratings(_Part):
    """difference: mean of real minus mean of synthetic images, then mean over readers; interval over both."""

    real: RatingSide
    synthetic: RatingSide
    difference: Estimate | None


class Agreement(_Part):
    """Fleiss' kappa of verdicts. images: with two readers or more; left_out: with fewer. observed: mean share of pairs
    of readers that agree; expected: by chance.
    """

    kappa: Estimate | None
    observed: Finite | None
    expected: Finite | None
    images: int
    left_out: int


class SelfAgreement(_Part):
    """First and second answers of a reader to an image. pairs: of ratings."""

    pairs: int
    same_verdict: Proportion
    kappa: Finite | None
    same_rating: Proportion
    rating_difference: Finite | None
    rating_difference_absolute: Finite | None


class Quarter(_Part):
    """A quarter of each reader's order. rating: mean, of each side."""

    quarter: int
    answers: int
    accuracy: Proportion
    rating_real: Finite | None
    rating_synthetic: Finite | None
    seconds: Finite | None


class Drift(_Part):
    """Over a reader's order, from the first image to the last: change of the share of right verdicts, of the rating of
    each side, and the factor by which the time per image changed. Means of the readers' slopes, interval over readers.
    """

    quarters: tuple[Quarter, ...]
    accuracy: Estimate | None
    rating_real: Estimate | None
    rating_synthetic: Estimate | None
    seconds_factor: Estimate | None


class TumourSide(_Part):
    """conspicuity: counts of 1 to 5, of the answers that saw a tumour."""

    truth: Truth
    seen: Proportion
    conspicuity: tuple[int, int, int, int, int]
    mean_conspicuity: Finite | None


class Tumours(_Part):
    """images: with at least one box, which were asked about. inside: clicks in a box, of the answers to these images.

    distance: median from a click to the centre of the nearest box, in widths of the image.
    """

    images: int
    seen: Proportion
    inside: Proportion
    distance: Finite | None
    sides: tuple[TumourSide, ...]


class Group(_Part):
    """How many readers said the same about themselves."""

    what: Literal["profession", "specialty", "years of experience"]
    group: str
    readers: int


class Finding(_Part):
    """In words: a heading and sentences."""

    title: str
    told_apart: Literal["yes", "not shown", "no, within the margin", "unknown"]
    sentences: tuple[str, ...]


class StudyResult(_Part):
    """All of it. planned: half-width of the 95 % interval of one reader's accuracy near 0.5; reached: the median of
    what readers reached. seconds: median per image. accuracy_over_readers: mean, interval over readers and images.
    """

    design: StudyDesign
    version: str
    seed: int
    readers: tuple[ReaderRow, ...]
    answers: int
    repeated: int
    warm_up: int
    confusion: Confusion
    confusion_by_reader: tuple[Confusion, ...]
    confusion_by_class: tuple[Confusion, ...]
    confusion_by_level: tuple[Confusion, ...]
    accuracy_over_readers: Estimate | None
    planned: Finite
    reached: Finite | None
    roc: Roc | None
    roc_of_ratings: Roc | None
    ratings: Ratings
    agreement: Agreement
    self_agreement: SelfAgreement
    drift: Drift
    seconds: Finite | None
    tumours: Tumours | None
    groups: tuple[Group, ...]
    finding: Finding
    notes: tuple[str, ...]

    @property
    def started(self) -> int:
        """Readers with an answer that counts."""
        return sum(row.standing != "no answer" for row in self.readers)

    @property
    def finished(self) -> int:
        """Readers who answered everything."""
        return sum(row.standing == "finished" for row in self.readers)
