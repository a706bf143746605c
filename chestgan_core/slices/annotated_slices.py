"""Which slices show a tumour, which surely show none, and of which nobody knows.

In: candidates, and the annotations of their dataset. Out: the candidates with their tumour boxes in pixels of the
normalized slice, each of them annotated or not, and where the boxes are.

A slice without a box shows no tumour only where somebody looked for one: where its series was annotated as a whole, or
has a box on another slice, which whoever drew it saw among all of them. Of any other series, and of a slice whose own
annotation could not be used, nothing is known. Two scans or reconstructions in one series are annotated apart: who
marks one of them leaves the other unmarked. Measurements are often drawn on one slice of a tumour that many show: where
boxes reach over less than half of their width along the body, the slices within half of it beside them are unknown.

"No tumour" means that nobody marked one there. A slice right above or below the marked ones may show a thin part of it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median
from typing import TypeAlias

from chestgan_core.slices.candidates import Candidate
from chestgan_core.slices.tumour_boxes import on_slice
from chestgan_core.sources.annotations.boxes import Annotations, TumourBox

_Edges: TypeAlias = tuple[int, int, int, int]
_Size: TypeAlias = tuple[
    int, int
]  # width and height of the image, (0, 0) where the annotation does not say it


@dataclass(frozen=True)
class BoxCounts:
    """Where the tumour boxes of a dataset are. boxes = on_slices + without_slice + beyond_slice + other_size.

    without_slice: the slice that a box names is in no shard (it shows no lung, or its series was not selected), or the
    UID that it names is that of several slices, so that nobody can say which is meant.
    beyond_slice: the box lies outside of the part of the image that the slice was cropped to. other_size: the
    annotation states another size of the image than it has, so that nobody can say where the box is.
    """

    boxes: int = 0
    on_slices: int = 0
    without_slice: int = 0
    beyond_slice: int = 0
    other_size: int = 0

    @property
    def disagreeing(self) -> int:
        """Boxes that contradict the slice that they name."""
        return self.beyond_slice + self.other_size


def with_annotations(
    candidates: Sequence[Candidate], annotations: Annotations, size: int
) -> tuple[list[Candidate], BoxCounts]:
    """The candidates with what is known of their tumours, and where the boxes are.

    A box belongs to the slice of its patient with its UID. Where its patient is none of the candidates' (some files
    do not name one), its UID must be that of a single slice: a UID does not promise to be one patient's.

    Args:
        candidates: All slices.
        annotations: Of their dataset.
        size: Pixels per side of the slices.
    """
    boxes = _by_slice(annotations.boxes, {candidate.row.patient for candidate in candidates})
    slices_with = Counter(candidate.row.sop_uid for candidate in candidates)
    slices_of_patient_with = Counter(
        (candidate.row.patient, candidate.row.sop_uid) for candidate in candidates
    )
    unsure = set(annotations.unsure_slices)
    marked: list[Candidate] = []
    doubtful: list[bool] = []  # whether something on the slice could not be used
    on_slices = beyond = other_size = 0
    for candidate in candidates:
        patient, uid = candidate.row.patient, candidate.row.sop_uid
        of_patient, of_anyone = boxes.get((patient, uid), {}), boxes.get(("", uid), {})
        ambiguous = bool(of_patient and slices_of_patient_with[patient, uid] > 1) or bool(
            of_anyone and slices_with[uid] > 1
        )
        stated = {
            **(of_anyone if slices_with[uid] == 1 else {}),
            **(of_patient if slices_of_patient_with[patient, uid] == 1 else {}),
        }
        size_of = (candidate.row.stored_columns, candidate.row.stored_rows)
        stored = [
            box
            for _, box in sorted(stated.items())
            if (box.image_width, box.image_height) in ((0, 0), size_of)
        ]
        placed = [on_slice(candidate.row, *box.edges, size=size) for box in stored]
        shown = tuple(box for box in placed if box is not None)
        other_size += len(stated) - len(stored)
        on_slices, beyond = on_slices + len(shown), beyond + len(placed) - len(shown)
        masks = tuple(box for box in stored if box.mask)
        marked.append(replace(candidate, boxes=shown, masks=masks) if shown or masks else candidate)
        doubtful.append(ambiguous or len(shown) < len(stated) or uid in unsure)
    annotated = _annotated(marked, doubtful, annotations.annotated_series)
    total = sum(map(len, boxes.values()))
    without = total - on_slices - beyond - other_size
    return annotated, BoxCounts(total, on_slices, without, beyond, other_size)


def _by_slice(
    boxes: Iterable[TumourBox], patients: set[str]
) -> dict[tuple[str, str], dict[_Edges, TumourBox]]:
    """(patient, UID) -> edges -> its box. patient: "" where it is unknown."""
    by_slice: defaultdict[tuple[str, str], dict[_Edges, TumourBox]] = defaultdict(dict)
    for box in boxes:
        same = by_slice[box.patient if box.patient in patients else "", box.sop_uid]
        # Of two origins with the same box the one that states a size can be checked, and one may have a mask.
        stating, other = sorted(
            (same.get(box.edges, box), box), key=lambda one: (one.image_width, one.image_height), reverse=True
        )
        same[box.edges] = replace(stating, mask=stating.mask or other.mask)
    for (patient, uid), edges in by_slice.items():
        if patient:  # the same box of an origin that does not name the patient
            for repeated in by_slice.get(("", uid), {}).keys() & edges.keys():
                del by_slice["", uid][repeated]
    return dict(by_slice)


def _annotated(
    marked: Sequence[Candidate], doubtful: Sequence[bool], annotated_series: Iterable[str]
) -> list[Candidate]:
    """The same slices, those annotated that have boxes, or surely show no tumour."""
    slices_of: defaultdict[tuple[str, str, str], list[Candidate]] = defaultdict(list)
    for candidate in marked:
        slices_of[_stack(candidate)].append(candidate)
    stacks = {stack for stack, slices in slices_of.items() if any(each.boxes for each in slices)}
    series = {(patient, uid) for patient, uid, _ in stacks}
    whole = set(annotated_series)
    beside = {stack: _measured_in_part(slices_of[stack]) for stack in stacks if stack[1] not in whole}

    def is_annotated(candidate: Candidate, unsure: bool) -> bool:
        if candidate.boxes or unsure:
            return bool(candidate.boxes)
        patient, uid, _ = stack = _stack(candidate)
        if stack in stacks:
            position_mm = candidate.row.position_mm
            return not any(low < position_mm < high for low, high in beside.get(stack, ()))
        return uid in whole and (patient, uid) not in series

    return [
        replace(candidate, annotated=True) if is_annotated(candidate, unsure) else candidate
        for candidate, unsure in zip(marked, doubtful, strict=True)
    ]


def _measured_in_part(slices: Sequence[Candidate]) -> list[tuple[float, float]]:
    """Ranges of position_mm in which a tumour may lie that was marked on few of the slices that show it.

    slices: of one stack. Neighbours with boxes are one run, as high as the slices are apart; a tumour that was marked
    throughout is about as high as wide, and one slice is measured where it is widest.
    """
    ordered = sorted(slices, key=lambda each: each.row.position_mm)
    gaps = [high.row.position_mm - low.row.position_mm for low, high in pairwise(ordered)]
    spacing = median(gaps) if gaps else 0.0
    ranges = []
    for is_marked, run in groupby(ordered, key=lambda each: bool(each.boxes)):
        if is_marked:
            members = list(run)
            low, high = members[0].row.position_mm, members[-1].row.position_mm
            half = max(max(box.width_mm, box.height_mm) for each in members for box in each.boxes) / 2
            if high - low + spacing < half:
                ranges.append((low - half, high + half))
    return ranges


def _stack(candidate: Candidate) -> tuple[str, str, str]:
    row = candidate.row
    return row.patient, row.series_uid, row.stack


def condition_counts(slices: Sequence[Candidate]) -> Mapping[str, int]:
    """How many of the slices show a tumour, surely none, or are unknown (together all); and how many have a position,
    or none (together all).
    """
    with_tumour = sum(bool(candidate.boxes) for candidate in slices)
    annotated = sum(candidate.annotated for candidate in slices)
    with_position = sum(candidate.row.has_position for candidate in slices)
    return {
        "with_tumour": with_tumour,
        "without_tumour": annotated - with_tumour,
        "unknown_tumour": len(slices) - annotated,
        "with_position": with_position,
        "without_position": len(slices) - with_position,
    }
