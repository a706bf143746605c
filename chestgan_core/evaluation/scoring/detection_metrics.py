"""Detection utility: what detectors learn from real, from synthetic and from both images, judged on held-out patients.

In: the sides (tumour_sides.py). Out: measurements by name, and the block of the report with the curve: how many real
patients the synthetic images are worth.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch

from chestgan_core.evaluation.scoring.metric_rows import FloorValue, Measurement
from chestgan_core.evaluation.scoring.tumour_block import (
    ALL,
    AUGMENTED,
    BOTH,
    REAL,
    SYNTHETIC,
    Estimate,
    Gain,
    Learned,
    Sensitivity,
    Source,
    TumourBlock,
    TumourCounts,
    few_tumours,
)
from chestgan_core.evaluation.scoring.tumour_metrics import few_or_none
from chestgan_core.evaluation.scoring.tumour_sides import AnnotatedSlices, AskedImages, TumourSides
from chestgan_core.metrics.detection import RATES, DetectionScore
from chestgan_core.metrics.detection_utility import (
    AnnotatedImages,
    detection_utility,
    patient_counts,
    rows_of_first,
    together,
)
from chestgan_core.metrics.detector import Detector, train_detector
from chestgan_core.metrics.measure import Measure

# Row -> what its detector was trained on.
UTILITY: dict[str, Source] = {
    "detection utility": SYNTHETIC,
    "detection utility ceiling": REAL,
    "detection utility of both": BOTH,
    "detection utility of augmentation": AUGMENTED,
    "detection utility of all": ALL,
}
SENSITIVITY: dict[str, Source] = {"detection sensitivity": SYNTHETIC, "detection sensitivity ceiling": REAL}
RATE = 1.0


@dataclass(frozen=True)
class DetectionComparison:
    """images_seen: of the training of each detector. few_patients: whether there is a curve. step: called with the
    number of images that were shown to a detector.
    """

    sides: TumourSides
    images_seen: int
    few_patients: bool
    seed: int
    device: torch.device | str = "cpu"
    step: Callable[[int], None] | None = None

    @property
    def trainings(self) -> int:
        """How many detectors are trained."""
        return 5 + 4 * (len(self._counts) - 1) if self._judgeable else 1

    @cached_property
    def judge(self) -> Detector:
        """Trained on all annotated training slices, with ordinary augmentation: the best judge of a placement that they
        make.
        """
        train = self.sides.train
        return train_detector(
            train.images,
            train.boxes,
            seed=self.seed,
            images_seen=self.images_seen,
            augment=True,
            device=self.device,
            progress=self.step,
        )

    def rows(self) -> dict[str, Measurement]:
        """Average precision and sensitivity of each detector that was trained on all patients."""
        if not self._judgeable:
            reason = f"not measured: {few_or_none(self.sides)}"
            return {name: Measurement(None, reason) for name in (*UTILITY, *SENSITIVITY)}
        rows = {}
        for name, source in UTILITY.items():
            score = self.scores[source, self._counts[-1]]
            rows[name] = self._row(source, score.average_precision, "average precision", score.floor)
        for name, source in SENSITIVITY.items():
            froc = self.scores[source, self._counts[-1]].froc
            rows[name] = self._row(
                source, froc[RATE], f"fraction found at {RATE:g} false positive per image", None
            )
        return rows

    def block(self, detector: str) -> TumourBlock:
        """What the report holds besides rows. detector: its id."""
        return TumourBlock(
            detector,
            self.images_seen,
            _counts(self.sides.train),
            _counts(self.sides.held_out),
            _counts(self.sides.synthetic),
            tuple(self._learned(source, patients) for source, patients in self.scores),
            tuple(self._gain(patients) for patients in self._counts) if self.scores else (),
            self.sides.image_kind,
        )

    @cached_property
    def scores(self) -> Mapping[tuple[Source, int], DetectionScore]:
        """(what it was trained on, how many real patients) -> how well it finds real held-out tumours."""
        if not self._judgeable:
            return {}
        real = AnnotatedImages(self.sides.train.images, self.sides.train.boxes)
        synthetic = AnnotatedImages(self.sides.synthetic.images, self.sides.synthetic.boxes)
        sets: dict[tuple[Source, int], AnnotatedImages] = {}
        everyone = self._counts[-1]
        for patients in reversed(self._counts):
            few = real if patients == everyone else real.only(self._rows_of(patients))
            sets[REAL, patients] = few
            if patients == everyone:
                sets[SYNTHETIC, patients] = synthetic
            sets[BOTH, patients] = together(few, synthetic)
            sets[AUGMENTED, patients] = few
            sets[ALL, patients] = sets[BOTH, patients]
        held_out = self.sides.held_out
        names = {f"{source} {patients}": (source, patients) for source, patients in sets}
        scores = detection_utility(
            {name: sets[key] for name, key in names.items()},
            AnnotatedImages(held_out.images, held_out.boxes),
            held_out.patients,
            seed=self.seed,
            images_seen=self.images_seen,
            augment=[name for name, (source, _) in names.items() if source in (AUGMENTED, ALL)],
            trained={f"{AUGMENTED} {everyone}": self.judge},
            device=self.device,
            progress=self.step,
        )
        return {key: scores[name] for name, key in names.items() if name in scores}

    @property
    def _judgeable(self) -> bool:
        sides = self.sides
        return bool(sides.held_out.with_tumour and sides.train.with_tumour and any(sides.synthetic.boxes))

    @cached_property
    def _counts(self) -> tuple[int, ...]:
        """How many training patients are real, ascending; the last: all. Those without a tumour teach nothing alone."""
        patients = len(set(self.sides.train.patients))
        few = [n for n in patient_counts(self.sides.train.patients_with_tumour) if n < patients]
        return (*few, patients) if self.few_patients else (patients,)

    def _rows_of(self, patients: int) -> list[int]:
        """Rows of the slices of so many training patients with a tumour."""
        train = self.sides.train
        with_tumour = {who for who, some in zip(train.patients, train.boxes, strict=True) if some}
        rows = [row for row, who in enumerate(train.patients) if who in with_tumour]
        chosen = rows_of_first([train.patients[row] for row in rows], patients, self.seed)
        return [rows[at] for at in chosen]

    def _row(self, source: Source, found: Measure | None, what: str, chance: float | None) -> Measurement:
        sides, kind = self.sides, self.sides.image_kind
        held_out = sides.held_out
        if found is None:
            return Measurement(None, "not measured: it is not defined for these detections")
        over = (
            "no interval: one patient says nothing about others"
            if found.interval is None
            else f"95 % over {found.patients.patients} patients"
        )
        few = few_tumours(held_out.with_tumour, held_out.patients_with_tumour, kind)
        note = (
            f"{what} on {len(held_out.boxes):,} held-out {kind} slices, {held_out.with_tumour:,} with a tumour; a"
            f" detector trained on {_of_source(source, sides)}, {self.images_seen:,} images seen; {over}"
            + (f"; {few}" if few else "")
        )
        floor = (
            FloorValue(note="none: see that of the average precision")
            if chance is None
            else FloorValue(chance, "the same detections exchanged between the images", len(held_out.boxes))
        )
        return Measurement(found.value, note, interval=found.interval, floor=floor)

    def _learned(self, source: Source, patients: int) -> Learned:
        score = self.scores[source, patients]
        real = 0
        if source != SYNTHETIC:
            real = (
                len(self.sides.train.boxes) if patients == self._counts[-1] else len(self._rows_of(patients))
            )
        return Learned(
            source,
            0 if source == SYNTHETIC else patients,
            real,
            len(self.sides.synthetic.boxes) if source in (SYNTHETIC, BOTH, ALL) else 0,
            _estimate(score.average_precision),
            tuple(Sensitivity(rate, _estimate(score.froc[rate])) for rate in RATES),
            score.floor,
        )

    def _gain(self, patients: int) -> Gain:
        augmented = self.scores[AUGMENTED, patients].average_precision
        instead, besides = (
            _estimate(self.scores[source, patients].average_precision.minus(augmented))
            for source in (BOTH, ALL)
        )
        return Gain(patients, instead, besides)


def _of_source(source: Source, sides: TumourSides) -> str:
    train, kind = sides.train, sides.image_kind
    real = f"{len(train.boxes):,} {kind} slices of {len(set(train.patients)):,} training patients"
    synthetic = f"{len(sides.synthetic.boxes):,} synthetic images"
    return {
        REAL: real,
        SYNTHETIC: synthetic,
        BOTH: f"{real} and {synthetic}, each drawn equally often",
        AUGMENTED: f"{real} with ordinary augmentation",
        ALL: f"{real} and {synthetic}, each drawn equally often, with ordinary augmentation",
    }[source]


def _counts(side: AnnotatedSlices | AskedImages) -> TumourCounts:
    patients = side.patients if isinstance(side, AnnotatedSlices) else ()
    return TumourCounts(
        len(side.boxes),
        sum(bool(some) for some in side.boxes),
        sum(map(len, side.boxes)),
        len(set(patients)),
        side.patients_with_tumour if isinstance(side, AnnotatedSlices) else 0,
    )


def _estimate(found: Measure) -> Estimate:
    low, high = found.interval or (None, None)
    return Estimate(found.value, low, high)
