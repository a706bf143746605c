"""CT series from files: split into stacks, ordered along the normal, all other files counted.

In: paths of folders, files and archives. Out: `Reading`. Pixels are decoded later, slice by slice (pixels.py); here
only those of files that may be copies of each other (contents.py). Memory: 2 KB per slice.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

from chestgan_core.dicom.contents import Dropped, distinct
from chestgan_core.dicom.file_walk import Archives, Found, Refused, walk
from chestgan_core.dicom.header_reading import read_headers
from chestgan_core.dicom.headers import Rejected, SeriesHeader, SliceHeader, series_key
from chestgan_core.dicom.histology import histology_of
from chestgan_core.dicom.left_out import Cause, Causes, Doubt, LeftOut, in_brackets
from chestgan_core.dicom.patient_ids import is_placeholder
from chestgan_core.dicom.stacks import Stack, stacks_of
from chestgan_core.errors import BadInput
from chestgan_core.local.progress import Progress
from chestgan_core.local.workers import Workers
from chestgan_core.reasons import Synthetic, in_words


@dataclass(frozen=True)
class Series:
    """One stack of a usable CT series: one scan in one reconstruction. Most series have one.

    stack: 8 hexadecimal digits that tell it from the other stacks of its series, empty where there is no other.
    slices: from the lowest to the highest position, no position twice.

    patient_id and the descriptions are raw and must not reach keys, logs or errors. patient_id is empty where the files
    have none: then study_uid stands for the patient. histology: `histology_of` the patient. thickness_mm is what the
    header says; spacing_mm is the median distance of neighbouring slices, 0 for a single one. They differ where slices
    overlap or are missing.
    """

    uid: str
    stack: str
    patient_id: str
    study_uid: str
    histology: str
    kernel: str
    manufacturer: str
    thickness_mm: float
    spacing_mm: float
    description: str
    study_description: str
    slices: tuple[SliceHeader, ...]

    @property
    def patient(self) -> tuple[str, str]:
        """Equal for the series of one patient: the PatientID, or the study where there is none."""
        return self.patient_id, "" if self.patient_id else self.study_uid


@dataclass(frozen=True)
class Reading:
    """files = slices in series + sum of left_out. causes: why files are left out, doubts: what is doubtful about those
    that are used; both grouped.
    """

    series: tuple[Series, ...]
    left_out: Counter[LeftOut]
    files: int
    causes: tuple[Cause, ...] = ()
    doubts: tuple[Cause, ...] = ()


@dataclass
class _Collected:
    """What is collected while files are read. not_axial: by series, whether it has axial slices decides the reason.
    synthetic: the UIDs of series with a file that is flagged synthetic, and refused.
    """

    slices: list[SliceHeader] = field(default_factory=list)
    not_axial: defaultdict[tuple[str, str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    synthetic: set[str] = field(default_factory=set)
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    causes: Causes = field(default_factory=Causes)
    doubts: Causes = field(default_factory=Causes)
    files: int = 0

    def leave_out(self, reason: LeftOut, name: str, cause: str) -> None:
        self.left_out[reason] += 1
        self.causes.add(reason, cause, name)

    def drop(self, dropped: Iterable[Dropped], archives: Archives) -> None:
        for header, reason, cause in dropped:
            self.leave_out(reason, archives.name(header.location), cause)

    def doubt(self, doubt: Doubt, headers: Sequence[SliceHeader], archives: Archives) -> None:
        """Counts the files; the first by name becomes the example."""
        first = min(headers, key=lambda one: (one.location.path, one.location.entries))
        self.doubts.add(doubt, doubt.meaning, archives.name(first.location), len(headers))


def read_series(
    paths: Sequence[Path],
    progress: Progress | None = None,
    synthetic: Synthetic = "refuse",
    workers: Workers | None = None,
) -> Reading:
    """Find the usable CT series below some paths, split into stacks.

    Only headers are read, and the pixels of files that share a SOP instance UID or a position: whether they are copies
    is decided by content.

    Args:
        paths: Folders, DICOM files and archives, nested as they come.
        progress: Gets one step per file.
        synthetic: What is done with objects that are flagged synthetic (dicom/synthetic.py). Refused, they are left
            out together with the other slices of their series: where a part was made, nobody knows what became of the
            rest. Accepted, they are used and counted as a doubt.
        workers: Processes that parse headers too (slices/normalizing_workers.py).

    Returns:
        The series, sorted by patient, SeriesInstanceUID and stack, whatever the names and the order of the files; the
        reasons why the other files are left out, counted; and the causes and doubts, grouped, with a file each.

    Raises:
        BadInput: A path does not exist, or a folder is empty.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.dicom.series import read_series
        >>> reading = read_series([Path("collection")])  # a folder with 40 slices and a licence
        >>> [series] = reading.series
        >>> len(series.slices), series.spacing_mm  # mm
        (40, 3.0)
        >>> dict(reading.left_out)
        {<LeftOut.NOT_DICOM: 'not-dicom'>: 1}
    """
    found = _Collected()
    with Archives() as archives:
        for file, read in read_headers(walk(paths, archives), archives, synthetic, workers):
            found.files += 1
            if isinstance(file, Refused):
                found.leave_out(file.reason, file.name, file.cause)
            elif read is not None:
                _collect(file, read, found)
            if progress is not None:
                progress.step(note=f"left out {in_words(found.left_out)}")
        series = tuple(_series(found, archives))
    left_out = Counter({reason: count for reason, count in found.left_out.items() if count})
    return Reading(series, left_out, found.files, found.causes.listed(), found.doubts.listed())


def require_series(reading: Reading) -> None:
    """Raises BadInput, with the reasons, their counts and the first causes: there is no usable series."""
    if not reading.series:
        remedy = "give axial CT slices in Hounsfield units (CT Image Storage, MONOCHROME2)"
        if reading.left_out[LeftOut.SYNTHETIC]:
            remedy += (
                "; for research on generated images synthetic: accept of the dataset, or --synthetic accept, lets "
                "synthetic objects in"
            )
        raise BadInput(
            f"{reading.files} files",
            f"have no usable CT series; left out: {in_words(reading.left_out)}{in_brackets(reading.causes)}",
            remedy,
        )


def without_stacks(reading: Reading, problem: Callable[[Series], str]) -> Reading:
    """The reading without those stacks that rules exclude, where their series has several.

    A series with one stack was judged by its source before it was fetched. problem: why a stack is excluded, or empty.
    """
    causes, left_out = Causes(), Counter(reading.left_out)
    causes.extend(reading.causes)
    kept: list[Series] = []
    for series in reading.series:
        cause = problem(series) if series.stack else ""
        if cause:
            left_out[LeftOut.NOT_SELECTED] += len(series.slices)
            causes.add(LeftOut.NOT_SELECTED, cause, "", len(series.slices))
        else:
            kept.append(series)
    return replace(reading, series=tuple(kept), left_out=left_out, causes=causes.listed())


def _collect(file: Found, read: SliceHeader | Rejected, found: _Collected) -> None:
    if isinstance(read, SliceHeader):
        found.slices.append(read)
    elif read.reason is LeftOut.NOT_AXIAL:
        found.not_axial[read.series].append(file.name)  # the reason depends on the rest of its series
    else:
        found.leave_out(read.reason, file.name, read.cause)
        if read.synthetic_series:
            found.synthetic.add(read.synthetic_series)


def _series(found: _Collected, archives: Archives) -> Iterable[Series]:
    _leave_out_synthetic_series(found, archives)
    _fill_in_patients(found, archives)
    grouped: defaultdict[tuple[str, str, str], list[SliceHeader]] = defaultdict(list)
    for header in _with_own_uids(found, archives):
        grouped[series_key(header.series)].append(header)
    for key, names in found.not_axial.items():
        reason = LeftOut.MIXED_ORIENTATION if key in grouped else LeftOut.NOT_AXIAL
        for name in names:
            found.leave_out(reason, name, "")
    usable = [header for headers in grouped.values() for header in headers]
    _doubt_patients(usable, found, archives)
    if made := [header for header in usable if header.synthetic]:
        found.doubt(Doubt.SYNTHETIC, made, archives)
    for key in sorted(grouped):
        stacks, dropped = stacks_of(grouped[key], lambda headers: distinct(headers, archives))
        found.drop(dropped, archives)
        if len(stacks) > 1:
            slices = [one for stack in stacks for one in stack.slices]
            found.doubt(Doubt.SEVERAL_STACKS, slices, archives)
        for stack in stacks:
            if stack.by_slice_location:
                found.doubt(Doubt.SLICE_LOCATION, stack.slices, archives)
            yield _as_series(stack)


def _leave_out_synthetic_series(found: _Collected, archives: Archives) -> None:
    """Leaves out the unflagged files of series in which others are flagged synthetic, and refused.

    By the UID alone, whoever the patient is said to be: refusing too much is counted and seen, too little is neither.
    """
    kept, cause = [], "other files of its series are flagged synthetic"
    for header in found.slices:
        if header.series.uid in found.synthetic:
            found.leave_out(LeftOut.SYNTHETIC, archives.name(header.location), cause)
        else:
            kept.append(header)
    found.slices = kept


def _fill_in_patients(found: _Collected, archives: Archives) -> None:
    """Gives files without a PatientID that of the other files of their study, where those have a single one.

    A study is of one patient (DICOM PS3.3 A.1.2). Otherwise one person would be two patients.
    """
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for header in found.slices:
        ids[header.series.study_uid].add(header.series.patient_id)
    filled = {study: max(known) for study, known in ids.items() if len(known) == 2 and "" in known}
    if not filled:
        return
    series: dict[SeriesHeader, SeriesHeader] = {}
    changed: list[SliceHeader] = []
    for at, header in enumerate(found.slices):
        patient_id = filled.get(header.series.study_uid, "")
        if patient_id and not header.series.patient_id:
            whole = series.setdefault(header.series, replace(header.series, patient_id=patient_id))
            found.slices[at] = replace(header, series=whole)
            changed.append(header)
    found.doubt(Doubt.PATIENT_OF_STUDY, changed, archives)


def _with_own_uids(found: _Collected, archives: Archives) -> list[SliceHeader]:
    """The slices without copies; those without a SOP instance UID of their own have `content`."""
    by_uid: defaultdict[str, list[SliceHeader]] = defaultdict(list)
    for header in found.slices:
        by_uid[header.sop_uid].append(header)
    slices: list[SliceHeader] = []
    for uid, headers in by_uid.items():
        if len(headers) == 1 and uid:
            slices += headers
            continue
        kept, dropped = distinct(headers, archives)
        found.drop(dropped, archives)
        if len(kept) <= 1 and uid:
            slices += kept.values()
            continue
        slices += [replace(header, content=content) for content, header in kept.items()]
        if not uid:
            found.doubt(Doubt.NO_UID, list(kept.values()), archives)
            continue
        patients = {series_key(header.series)[:2] for header in kept.values()}
        doubt = Doubt.UID_COLLISION if len(patients) == 1 else Doubt.UID_OF_SEVERAL_PATIENTS
        found.doubt(doubt, list(kept.values()), archives)
    return slices


def _doubt_patients(headers: Sequence[SliceHeader], found: _Collected, archives: Archives) -> None:
    by_id: defaultdict[str, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        by_id[header.series.patient_id].append(header)
    for patient_id, files in by_id.items():
        if not patient_id:
            found.doubt(Doubt.NO_PATIENT_ID, files, archives)
            continue
        if is_placeholder(patient_id):
            found.doubt(Doubt.PLACEHOLDER_ID, files, archives)
        persons = {header.series.person for header in files}
        if any(len({one for one in values if one}) > 1 for values in zip(*persons, strict=True)):
            found.doubt(Doubt.SHARED_ID, files, archives)


def _as_series(stack: Stack) -> Series:
    header = _common(stack.slices)
    gaps = [above.position_mm - below.position_mm for below, above in pairwise(stack.slices)]
    return Series(
        uid=header.uid,
        stack=stack.label,
        patient_id=header.patient_id,
        study_uid=header.study_uid,
        histology=histology_of(header.patient_id),
        kernel=header.kernel,
        manufacturer=header.manufacturer,
        thickness_mm=header.thickness_mm,
        spacing_mm=median(gaps) if gaps else 0.0,
        description=header.description,
        study_description=header.study_description,
        slices=stack.slices,
    )


def _common(slices: Sequence[SliceHeader]) -> SeriesHeader:
    """The header with the most values; the slices of a stack differ in unknown ones only, and in case and blanks."""
    headers = {header.series for header in slices}

    def order(header: SeriesHeader) -> tuple[int, str]:
        values = header.kernel, header.manufacturer, header.description, header.study_description
        return -sum(map(bool, (*values, header.thickness_mm))), repr(header)

    return min(headers, key=order)
