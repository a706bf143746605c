"""CT series from files: grouped by SeriesInstanceUID, ordered along the normal, all other files counted.

In: paths of folders, files and zips. Out: `Reading`. Pixels are decoded later, slice by slice (pixels.py). Memory: a
few hundred bytes per slice.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from chestgan_core.dicom.file_walk import Archives, Found, Refused, walk
from chestgan_core.dicom.headers import Rejected, SeriesHeader, SliceHeader, read_header
from chestgan_core.dicom.histology import histology_of
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.errors import BadInput
from chestgan_core.local.progress import Progress
from chestgan_core.reasons import in_words

SAME_POSITION_DIGITS = 2  # 0.01 mm
SAME_NORMAL_COSINE = 0.9994  # 2 degrees
MAX_WARNINGS = 50
# Reasons that a person may want to check file by file.
WORTH_A_WARNING = (LeftOut.UNREADABLE, LeftOut.UNSAFE_NAME, LeftOut.UNSUPPORTED_COMPRESSION)


@dataclass(frozen=True)
class Series:
    """One usable CT series. slices: from the lowest to the highest position, no position twice.

    patient_id and the descriptions are raw and must not reach keys, logs or errors. histology: `histology_of` the
    patient. thickness_mm is what the header says; spacing_mm is the median distance of neighbouring slices, 0 for a
    single one. They differ where slices overlap or are missing.
    """

    uid: str
    patient_id: str
    histology: str
    kernel: str
    manufacturer: str
    thickness_mm: float
    spacing_mm: float
    description: str
    study_description: str
    slices: tuple[SliceHeader, ...]


@dataclass(frozen=True)
class Reading:
    """files = slices in series + sum of left_out. warnings: one line each for damaged files, at most 50."""

    series: tuple[Series, ...]
    left_out: Counter[LeftOut]
    files: int
    warnings: tuple[str, ...] = ()


@dataclass
class _Collected:
    """What is collected while files are read. not_axial: by series, whether it has axial slices decides the reason."""

    common: dict[tuple[str, str], SeriesHeader] = field(default_factory=dict)
    slices: defaultdict[tuple[str, str], list[SliceHeader]] = field(default_factory=lambda: defaultdict(list))
    not_axial: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    files: int = 0

    def leave_out(self, reason: LeftOut, name: str, cause: str) -> None:
        self.left_out[reason] += 1
        if reason in WORTH_A_WARNING and len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(f"{name}: {reason}: {cause}")


def read_series(paths: Sequence[Path], progress: Progress | None = None) -> Reading:
    """Find the usable CT series below some paths. Headers only: pixels are not decoded.

    Args:
        paths: Folders, DICOM files and zips, nested as they come.
        progress: Gets one step per file.

    Returns:
        The series, sorted by PatientID and SeriesInstanceUID, whatever the order of the files; the reasons why the
        other files are left out, counted; and a line for each damaged file.

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
        for file in walk(paths, archives):
            found.files += 1
            if isinstance(file, Refused):
                found.leave_out(file.reason, file.name, file.cause)
            else:
                _collect(file, archives, found)
            if progress is not None:
                progress.step(note=f"left out {in_words(found.left_out)}")
    series = tuple(
        _ordered(found.common[key], found.slices[key], found.left_out) for key in sorted(found.slices)
    )
    for key, count in found.not_axial.items():
        mixed = key in found.slices
        found.left_out[LeftOut.MIXED_ORIENTATION if mixed else LeftOut.NOT_AXIAL] += count
    left_out = Counter({reason: count for reason, count in found.left_out.items() if count})
    return Reading(series, left_out, found.files, tuple(found.warnings))


def require_series(reading: Reading) -> None:
    """Raises BadInput, with the reasons and their counts: there is no usable series."""
    if not reading.series:
        raise BadInput(
            f"{reading.files} files",
            f"have no usable CT series; left out: {in_words(reading.left_out)}",
            "give axial CT slices in Hounsfield units (CT Image Storage, MONOCHROME2)",
        )


def _collect(file: Found, archives: Archives, found: _Collected) -> None:
    read = read_header(file, lambda limit: archives.read(file.location, limit))
    if isinstance(read, Rejected):
        if read.reason is LeftOut.NOT_AXIAL:
            found.not_axial[read.series] += 1  # the reason depends on the rest of its series
        else:
            found.leave_out(read.reason, file.name, read.cause)
        return
    header, common = read
    if header.sop_uid in found.seen:
        found.leave_out(LeftOut.DUPLICATE, file.name, "")
        return
    found.seen.add(header.sop_uid)
    key = common.patient_id, common.uid
    found.common.setdefault(key, common)
    found.slices[key].append(header)


def _ordered(common: SeriesHeader, headers: list[SliceHeader], left_out: Counter[LeftOut]) -> Series:
    stack = _largest_stack(headers)
    left_out[LeftOut.MIXED_ORIENTATION] += len(headers) - len(stack)
    # The SOP UID decides between two slices at one position, so that the order of the files does not.
    by_position: dict[float, SliceHeader] = {}
    for header in sorted(stack, key=lambda header: header.sop_uid):
        by_position.setdefault(round(header.position_mm, SAME_POSITION_DIGITS), header)
    left_out[LeftOut.DUPLICATE] += len(stack) - len(by_position)
    slices = tuple(by_position[position] for position in sorted(by_position))
    gaps = [above.position_mm - below.position_mm for below, above in pairwise(slices)]
    return Series(
        uid=common.uid,
        patient_id=common.patient_id,
        histology=histology_of(common.patient_id),
        kernel=common.kernel,
        manufacturer=common.manufacturer,
        thickness_mm=common.thickness_mm,
        spacing_mm=median(gaps) if gaps else 0.0,
        description=common.description,
        study_description=common.study_description,
        slices=slices,
    )


def _largest_stack(headers: list[SliceHeader]) -> list[SliceHeader]:
    """The slices that are parallel (within 2 degrees) to the most frequent orientation."""
    counts = Counter(tuple(round(part, 3) for part in header.geometry.normal) for header in headers)
    if len(counts) == 1:
        return headers

    def parallel(normal: tuple[float, ...]) -> int:
        return sum(count for other, count in counts.items() if _parallel(normal, other))

    most_frequent = max(sorted(counts), key=parallel)
    return [header for header in headers if _parallel(most_frequent, header.geometry.normal)]


def _parallel(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return sum(x * y for x, y in zip(a, b, strict=True)) >= SAME_NORMAL_COSINE
