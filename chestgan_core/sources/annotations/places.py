"""Where stored slices lie in space, so that what was drawn in millimetres finds its slice and its pixels.

In: the series of a folder. Out: `Places`: a slice by its SOP instance, or by the position of points in the frame of
reference of its series. A slice is never guessed: what names one slice and lies on another is a defect, and so is what
lies on none.

Coordinates of patients are in mm (DICOM PS3.3 C.7.6.2.1.1). Of pixels they are (column, row) with 0, 0 in the middle of
the first stored pixel, so that pixel k reaches from k - 0.5 to k + 0.5.
"""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chestgan_core.sources.annotations.boxes import Defect, Found

if TYPE_CHECKING:
    from chestgan_core.dicom.file_walk import Archives
    from chestgan_core.dicom.headers import SliceHeader
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.dicom.series import Series

Points: TypeAlias = NDArray[np.float64]

SLACK_MM = 0.01
"""Positions are text of a few decimals. What is in the middle between two slices lies on none."""
MAX_MM = 10_000.0
"""Coordinates of patients beyond it are damaged."""
LONE_SLICE_MM = 0.5
"""How far from a slice something may lie that was drawn on it, where neither neighbours nor a thickness say it."""


@dataclass(frozen=True, eq=False)
class SlicePlace:
    """One stored slice. uid: the SOP instance UID as in the file; name, patient, series: as in the catalog and the
    slices. along_row, along_column: unit vectors in which the index of the column and that of the row grow. reach_mm:
    half of the distance to the neighbours.
    """

    uid: str
    name: str
    patient: str
    series: str
    rows: int
    columns: int
    origin: Points
    along_row: Points
    along_column: Points
    column_mm: float
    row_mm: float
    reach_mm: float

    @property
    def normal(self) -> Points:
        """Unit vector across the slice."""
        return np.cross(self.along_row, self.along_column)

    def away_mm(self, points: Points) -> float:
        """The largest distance of points (N, 3) from the plane of the slice."""
        return float(np.abs((points - self.origin) @ self.normal).max())

    def holds(self, points: Points) -> bool:
        """Whether all points (N, 3) in mm lie nearer to this slice than to the middle of the gap beside it."""
        return self.away_mm(points) < self.reach_mm - SLACK_MM

    def pixels_of(self, points: Points) -> Points:
        """(N, 3) mm -> (N, 2) column and row, as fractions."""
        away = points - self.origin
        return np.stack(
            [away @ self.along_row / self.column_mm, away @ self.along_column / self.row_mm], axis=1
        )


@dataclass(frozen=True, eq=False)
class Stack:
    """The slices of one scan. uid, frame: SeriesInstanceUID and FrameOfReferenceUID as in the files; series: the key of
    the whole series in the catalog; alone: whether the series has no other stack.
    """

    uid: str
    frame: str
    series: str
    patient: str
    alone: bool
    slices: tuple[SlicePlace, ...]


@dataclass(frozen=True)
class Lost:
    """Something drawn that has no slice. slices: those that it may concern, which without a box then say nothing."""

    defect: Defect
    slices: tuple[SlicePlace, ...] = ()


class Places:
    """All slices of a folder.

    cleaned: a UID -> the one that stands for it where the files were cleaned on this machine (chestgan deidentify):
    what was drawn before that names the old ones.
    """

    def __init__(self, stacks: Iterable[Stack], cleaned: Callable[[str], str] = str) -> None:
        self._cleaned = cleaned
        self._by_uid: defaultdict[str, list[SlicePlace]] = defaultdict(list)
        self._patients: defaultdict[str, list[Stack]] = defaultdict(list)
        self._series: defaultdict[str, list[Stack]] = defaultdict(list)
        self._stack_of: dict[SlicePlace, Stack] = {}
        for stack in stacks:
            self._patients[stack.patient].append(stack)
            self._series[stack.uid].append(stack)
            self._stack_of.update(dict.fromkeys(stack.slices, stack))
            for one in stack.slices:
                self._by_uid[one.uid].append(one)

    def named(self, uid: str) -> SlicePlace | None:
        """The slice with this SOP instance UID; None where none has it, or several have."""
        found = self._by_uid.get(uid) or self._by_uid.get(self._cleaned(uid), [])
        return found[0] if len(found) == 1 else None

    def of_series(self, uid: str) -> tuple[Stack, ...]:
        """The stacks of a series, by its SeriesInstanceUID."""
        return tuple(self._series.get(uid) or self._series.get(self._cleaned(uid)) or ())

    def patient(self, *names: str) -> str:
        """The first of some names that a patient with slices has; the first of all where none has."""
        return next((name for name in names if name in self._patients), names[0])

    def named_or_all(self, uids: Iterable[str], stacks: Iterable[Stack]) -> tuple[SlicePlace, ...]:
        """The slices with these SOP instance UIDs; where none is here, all of the stacks: it may be any of them."""
        named = tuple(one for uid in uids if (one := self.named(uid)) is not None)
        return named or tuple(one for stack in stacks for one in stack.slices)

    def annotated(self, place: SlicePlace, found: Found) -> None:
        """Note that somebody looked through the series of a slice, unless it has several stacks: who knows which."""
        stack = self._stack_of[place]
        if stack.alone:
            found.series[stack.series] = stack.patient

    def candidates(
        self, patient: str, frame: str, series: Iterable[str]
    ) -> tuple[tuple[Stack, ...], Lost | None]:
        """Where something may lie that is drawn for this patient, in this frame of reference, on these series: the
        stacks of the series, where they are here, else all in the frame; and what is wrong where there are none.
        """
        of_patient = self._patients.get(patient, [])
        if not of_patient:
            return (), Lost(Defect.NO_SERIES)
        wanted = {stack for uid in series for stack in self.of_series(uid)}
        drawn_on = [stack for stack in of_patient if stack in wanted]
        frames = {frame, self._cleaned(frame)} if frame else {frame}
        found = [stack for stack in drawn_on or of_patient if stack.frame in frames and (frame or drawn_on)]
        if found:
            return tuple(found), None
        if drawn_on:
            return (), Lost(Defect.OTHER_FRAME, tuple(one for stack in drawn_on for one in stack.slices))
        return (), Lost(Defect.NO_SERIES)

    def find(
        self, points: Points, uids: Sequence[str], stacks: Sequence[Stack], patient: str, found: Found
    ) -> "SlicePlace | Lost":
        """The slice of a patient that points (N, 3) in mm lie on. uids: the SOP instances that they are said to lie on;
        those that are not here are ignored, as many tools write them anew. stacks: where to look then, which `found`
        counts.
        """
        named = [one for uid in uids if (one := self.named(uid)) is not None]
        if len(named) > 1:
            return Lost(Defect.NO_IMAGE, tuple(named))
        if named:
            if named[0].patient != patient:
                return Lost(Defect.OTHER_PATIENT, (named[0],))
            if named[0].holds(points):
                return named[0]
            return Lost(Defect.ELSEWHERE, (named[0], *_nearest(stacks, points)))
        place = only(_nearest(stacks, points), found)
        if isinstance(place, Lost) and place.defect is Defect.OFF_SLICES:
            return Lost(place.defect, _touched(stacks, points))
        return place


def only(nearest: Sequence[SlicePlace], found: Found) -> "SlicePlace | Lost":
    """The one slice at a position, counted as placed by it; several or none are no place."""
    if len(nearest) != 1:
        return Lost(Defect.AMBIGUOUS, tuple(nearest)) if nearest else Lost(Defect.OFF_SLICES)
    found.defects[Defect.BY_POSITION] += 1
    return nearest[0]


def _touched(stacks: Iterable[Stack], points: Points) -> tuple[SlicePlace, ...]:
    """The slices that points reach which lie on none: on both sides of a gap, or all that an outline crosses."""
    reached = []
    for one in (one for stack in stacks for one in stack.slices):
        away = (points - one.origin) @ one.normal
        if away.min() <= one.reach_mm + SLACK_MM and away.max() >= -one.reach_mm - SLACK_MM:
            reached.append(one)
    return tuple(reached)


def _nearest(stacks: Iterable[Stack], points: Points) -> list[SlicePlace]:
    return [near for stack in stacks if (near := nearest_in(stack, points)) is not None]


def nearest_in(stack: Stack, points: Points) -> SlicePlace | None:
    """The slice of a stack that holds all points (N, 3); None: they lie between slices, beyond them, or across."""
    normal, origin = stack.slices[0].normal, stack.slices[0].origin
    middle = float(((points - origin) @ normal).mean())
    distances = [abs(float((one.origin - origin) @ normal) - middle) for one in stack.slices]
    nearest = stack.slices[int(np.argmin(distances))]
    return nearest if nearest.holds(points) else None


def places_of(series: Sequence["Series"], archives: "Archives", pseudonyms: "Pseudonyms") -> Places:
    """The places of all slices. The header of each is read once more, for its frame of reference and its axes."""
    stacks_of: defaultdict[str, int] = defaultdict(int)
    for one in series:
        stacks_of[one.uid] += 1
    stacks = (_stack(one, archives, pseudonyms, stacks_of[one.uid] == 1) for one in series)
    cleaned = str if pseudonyms.secret is None else pseudonyms.uid
    return Places((stack for stack in stacks if stack.slices), cleaned)


def _stack(series: "Series", archives: "Archives", pseudonyms: "Pseudonyms", alone: bool) -> Stack:
    patient = pseudonyms.patient(series.patient_id, series.study_uid)
    key = pseudonyms.series(series.uid)
    reach = (series.spacing_mm or series.thickness_mm or 2 * LONE_SLICE_MM) / 2
    frames: set[str] = set()
    slices = []
    for header in series.slices:
        frame, axes = _frame_and_axes(header, archives)
        if axes is None:
            continue
        frames.add(frame)
        name = pseudonyms.sop(header.sop_uid, header.content)
        slices.append(
            SlicePlace(
                header.sop_uid,
                name,
                patient,
                key,
                header.rows,
                header.columns,
                np.asarray(header.geometry.origin_mm),
                *axes,
                header.geometry.column_mm,
                header.geometry.row_mm,
                reach,
            )
        )
    # A stack in two frames of reference has none that would place anything.
    return Stack(series.uid, frames.pop() if len(frames) == 1 else "", key, patient, alone, tuple(slices))


def _frame_and_axes(header: "SliceHeader", archives: "Archives") -> tuple[str, tuple[Points, Points] | None]:
    """FrameOfReferenceUID, and the unit vectors along a row and along a column; None where the file has changed."""
    from chestgan_core.dicom.attributes import numbers_of, tags_of
    from chestgan_core.dicom.dicom_file import inflated, parse
    from chestgan_core.dicom.file_walk import READ_ERRORS
    from chestgan_core.dicom.headers import MAX_HEADER_BYTES
    from chestgan_core.dicom.identity import uid_of

    wanted = tags_of("ImageOrientationPatient", "FrameOfReferenceUID")
    for limit in (16 * 1024, MAX_HEADER_BYTES):
        try:
            head = archives.read(header.location, limit)
        except READ_ERRORS:
            return "", None
        # Where the bytes end within a sequence, pydicom raises any exception: then more of them are read.
        with contextlib.suppress(Exception):
            parsed = parse(inflated(head, limit), wanted).header
            numbers = numbers_of(parsed, "ImageOrientationPatient")
            if numbers is not None and len(numbers) == 6:
                axes = np.asarray(numbers).reshape(2, 3)
                axes /= np.linalg.norm(axes, axis=1, keepdims=True)
                return uid_of(parsed, "FrameOfReferenceUID"), (axes[0], axes[1])
    return "", None
