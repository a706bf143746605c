"""The rows of a report about synthetic patients: whether the slices of one go together, and whether its tumour is as
large as it was asked for.

In: a generator that was trained with positions, held-out slices. Out: measurements by name, beside the same of real
series, and the slices of the figure. Real series are compared at the spacing at which synthetic ones are made.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.config.dataset import ImageKind
from chestgan_core.config.experiment import Experiment
from chestgan_core.evaluation.scoring.as_published import as_published
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.metric_rows import PIXELS, FloorValue, Measurement, RowContext
from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.layout import Edges
from chestgan_core.layouts.subject import SPACING_MM, Ellipsoid, SubjectLayouts, subject_layouts
from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.measure import Measure, share
from chestgan_core.metrics.similarity import ssim
from chestgan_core.metrics.stacks import slices_at, tumour_mm3
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.generation import CHUNK, generate
from chestgan_core.training.weights import LoadedGenerator

# One chunk of the network: fewer would cost as much.
SUBJECTS = CHUNK
# Neighbours whose distance is another by more than this fraction are none.
SPACING_TOLERANCE = 0.25
# Of a real series, at least.
MIN_NEIGHBOURS = 3
# Of the figure.
SHOWN = 8
SIMILARITY, VOLUME = "neighbour similarity", "tumour volume"


@dataclass(frozen=True)
class SubjectPictures:
    """Neighbouring slices of one synthetic patient and of one held-out one, (k, 1, R, R); boxes: asked of each."""

    synthetic: Tensor
    boxes: tuple[tuple[Edges, ...], ...]
    real: Tensor | None


@dataclass
class _Series:
    """A held-out series. rows: of its slices in the lungs, from base to apex; z_mm: of each."""

    patient: str
    rows: list[int] = field(default_factory=list)
    z_mm: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class SubjectComparison:
    """generator: with its table of layouts. held_out: with the rows of their shards."""

    generator: LoadedGenerator
    held_out: LoadedSlices
    image_kind: ImageKind
    seed: int

    @property
    def experiment(self) -> Experiment:
        """That of the generator."""
        return self.generator.experiment

    @property
    def why_not(self) -> str:
        """Why no synthetic patient can be made, or ""."""
        table = self.generator.layouts
        if table is None or not table.has_position:
            return "the positions of the training slices are not known"
        if not table.pixel_mm or not table.lung_mm:
            return "it is not known how many mm a pixel and the lungs have"
        return ""

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of the rows."""
        return (SIMILARITY, VOLUME) if self.experiment.conditions.tumour is not None else (SIMILARITY,)

    def measure(self) -> tuple[dict[str, Measurement], SubjectPictures]:
        """The rows, and slices for the figure. Only where `why_not` is empty."""
        spacing = self._spacing()
        subjects = self._subjects(spacing)
        count = len(subjects[0].layouts)
        similar = np.zeros((count - 1, len(subjects)))
        volumes = np.zeros(len(subjects))
        shown = self._shown(subjects[0])
        kept: list[Tensor] = []
        before: Tensor | None = None
        for at, images in enumerate(self._planes(subjects)):
            if before is not None:
                similar[at - 1] = ssim(before, images)
            for number, one in enumerate(subjects):
                boxes = one.layouts[at].boxes
                if boxes:
                    volumes[number] += tumour_mm3(
                        images[number : number + 1], [boxes], one.pixel_mm, one.spacing_mm
                    )
            if at in shown:
                kept.append(images[:1])
            before = images
        found = {SIMILARITY: self._similarity(similar.mean(axis=0), spacing)}
        if VOLUME in self.measures:
            found[VOLUME] = self._volume(volumes, np.array([one.asked_mm3 for one in subjects]))
        boxes_shown = tuple(subjects[0].layouts[at].boxes or () for at in shown)
        return found, SubjectPictures(torch.cat(kept), boxes_shown, self._real_slices(spacing))

    def _subjects(self, spacing: float) -> list[SubjectLayouts]:
        experiment = self.experiment
        askable = Askable(
            experiment.resolution, experiment.classes, experiment.conditions, self.generator.layouts
        )
        first = experiment.publication.first_seed
        return [subject_layouts(askable, seed, spacing) for seed in range(first, first + SUBJECTS)]

    def _planes(self, subjects: Sequence[SubjectLayouts]) -> Iterator[Tensor]:
        """Slice by slice, all patients (n, 1, R, R): a chunk of the network holds a seed once."""
        seeds = [one.seed for one in subjects]
        for at in range(len(subjects[0].layouts)):
            made = generate(self.generator, seeds, [one.layouts[at] for one in subjects])
            yield as_published(made, self.experiment.publication.bits)

    def _shown(self, subject: SubjectLayouts) -> range:
        """Slices around its tumour, else in the middle."""
        count = len(subject.layouts)
        middle = count // 2
        if subject.tumour is not None:
            middle = int(np.abs(np.array(subject.z_mm) - subject.tumour.z_mm).argmin())
        first = min(max(middle - SHOWN // 2, 0), max(count - SHOWN, 0))
        return range(first, min(first + SHOWN, count))

    def _series(self) -> list[_Series]:
        """The held-out series, of which the positions are known."""
        found: dict[tuple[str, str, str], _Series] = {}
        order = sorted(range(len(self.held_out.rows)), key=lambda at: self.held_out.rows[at].position_mm)
        for at in order:
            row = self.held_out.rows[at]
            if not row.has_position:
                continue
            one = found.setdefault((row.patient, row.series_uid, row.stack), _Series(row.patient))
            one.rows.append(at)
            one.z_mm.append(row.position_mm)
        return [one for one in found.values() if len(one.rows) > MIN_NEIGHBOURS]

    def _spacing(self) -> float:
        """mm: that of synthetic patients, or of the held-out series where these are coarser."""
        coarse = [float(np.median(np.diff(one.z_mm))) for one in self._series()]
        return max(SPACING_MM, round(median(coarse), 2)) if coarse else SPACING_MM

    def _neighbours(self, spacing: float) -> dict[str, list[tuple[int, int]]]:
        """Patient -> rows of neighbouring slices at about this spacing."""
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for one in self._series():
            chosen = slices_at(one.z_mm, spacing)
            pairs = [
                (one.rows[low], one.rows[high])
                for low, high in pairwise(chosen)
                if abs(one.z_mm[high] - one.z_mm[low] - spacing) <= SPACING_TOLERANCE * spacing
            ]
            if len(pairs) >= MIN_NEIGHBOURS:
                found[one.patient] += pairs
        return dict(found)

    def _similarity(self, per_subject: NDArray[np.float64], spacing: float) -> Measurement:
        drawn = resampling([str(at) for at in range(len(per_subject))], self.seed)
        floor = FloorValue(note=f"no floor: no held-out {self.image_kind} series has slices at this spacing")
        neighbours = self._neighbours(spacing)
        if neighbours:
            patients = [who for who, pairs in neighbours.items() for _ in pairs]
            lower, upper = zip(*(pair for pairs in neighbours.values() for pair in pairs), strict=True)
            real = ssim(self.held_out.images[list(lower)], self.held_out.images[list(upper)])
            over = resampling(patients, self.seed)
            floor = FloorValue(
                float(real.mean()),
                f"{len(real):,} neighbours in {self.image_kind} series of {len(neighbours)} held-out patient(s)",
                len(real),
                float(over.means(real).std()) if over.count > 1 else None,
            )
        note = (
            f"mean SSIM of neighbouring slices, {spacing:g} mm apart, of {len(per_subject)} synthetic patients; 95 %"
            " over these; above the floor all slices of a patient are alike, below it they do not belong together"
        )
        return Measurement(
            float(per_subject.mean()), note, interval=drawn.interval(drawn.means(per_subject)), floor=floor
        )

    def _volume(self, measured: NDArray[np.float64], asked: NDArray[np.float64]) -> Measurement:
        some = asked > 0
        drawn = resampling([str(at) for at in np.flatnonzero(some)], self.seed) if some.any() else None
        found = share(measured[some], asked[some], drawn, most=np.inf) if drawn else None
        if found is None:
            return Measurement(None, "not measured: no synthetic patient was asked for a tumour")
        note = (
            f"volume of what is bright in the asked boxes over that of the asked ellipsoid, of {int(some.sum())}"
            f" synthetic patients, {asked[some].mean() / 1000:.1f} ml asked in the mean; 95 % over these"
        )
        return Measurement(found.value, note, interval=found.interval, floor=self._real_volumes())

    def _real_volumes(self) -> FloorValue:
        """The same for real series: what is bright in the boxes over the ellipsoid that the boxes suggest."""
        parts: list[float] = []
        wholes: list[float] = []
        boxes, pixel_mm = self.held_out.boxes, self.held_out.pixel_mm
        if boxes is None or pixel_mm is None:
            return FloorValue(note="no floor: no held-out patient was annotated")
        for one in self._series():
            spacing = float(np.median(np.diff(one.z_mm)))
            cuts = [
                (at, tuple(boxes[at, 0].tolist()), float(pixel_mm[at]))
                for at in one.rows
                if bool(boxes[at, 0].isfinite().all()) and not bool(boxes[at, 1:].isfinite().any())
            ]
            if len(cuts) < 2 or not np.isfinite(cuts[0][2]):
                continue
            edge = cuts[0][2]
            wide, high = (max(box[side + 2] - box[side] for _, box, _ in cuts) for side in (0, 1))
            whole = Ellipsoid(0, 0, 0, (wide * edge, high * edge, len(cuts) * spacing))
            rows = [at for at, _, _ in cuts]
            parts.append(tumour_mm3(self.held_out.images[rows], [[box] for _, box, _ in cuts], edge, spacing))
            wholes.append(whole.volume_mm3)
        found: Measure | None = None
        if parts:
            names = [str(at) for at in range(len(parts))]
            found = share(np.array(parts), np.array(wholes), resampling(names, self.seed), most=np.inf)
        if found is None:
            return FloorValue(note="no floor: no held-out series has a tumour on two slices")
        about = f"{len(parts)} {self.image_kind} tumours over the ellipsoids that their boxes suggest"
        return FloorValue(found.value, about, len(parts))

    def _real_slices(self, spacing: float) -> Tensor | None:
        """Neighbouring slices of the held-out patient who has most, from the middle."""
        series = self._series()
        if not series:
            return None
        one = max(series, key=lambda some: len(some.rows))
        chosen = [one.rows[at] for at in slices_at(one.z_mm, spacing)]
        first = max((len(chosen) - SHOWN) // 2, 0)
        return self.held_out.images[chosen[first : first + SHOWN]]


def with_subjects(
    report: MetricReport,
    generator: LoadedGenerator,
    held_out: LoadedSlices,
    *,
    snapshot: str,
    split: str,
    seed: int,
) -> MetricReport:
    """The report with the rows about synthetic patients after all others. snapshot: version of the training set; split:
    of the report.
    """
    comparison = SubjectComparison(generator, held_out, report.image_kind, seed)
    context = RowContext(PIXELS, (len(held_out.images), SUBJECTS), split, snapshot, seed)
    if comparison.why_not:
        rows, pictures = context.absent(comparison.why_not, comparison.measures), report.pictures
    else:
        found: list[SubjectPictures] = []

        def measure() -> dict[str, Measurement]:
            measured, shown = comparison.measure()
            found.append(shown)
            return measured

        rows = context.rows(measure)
        pictures = replace(report.pictures, subjects=found[0])
    return replace(report, rows=(*report.rows, *rows), pictures=pictures)
