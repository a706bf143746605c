"""De-identification audit: whether anything in these files still says who the patient is.

In: DICOM files, archives and folders. Of each file all bytes are accounted for (`whole_file.py`): attributes at any
depth, private ones, file meta information, preamble, what lies behind the pixels. Of the pixels a sample of each series
is searched for burned-in text (`burned_in.py`). Out: `AuditReport`: how many files have which finding, and which files
were not examined. Values are neither kept nor printed: a report must not become what it warns of.

A report without findings says that the attributes that DICOM PS3.15 annex E lists are absent, empty or replaced, that
no free text reads like a name or a date by the rules of `free_text.py`, and that no byte is unaccounted for. It proves
no more: a face, a rare disease, a shifted date or a single word may suffice to find a patient.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from chestgan_core.dicom.audit_report import AuditReport, Finding, Unexamined, empty_report
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.local.output import MARKER
from chestgan_core.local.progress import Progress

if TYPE_CHECKING:
    from chestgan_core.dicom.burned_in import PixelSample
    from chestgan_core.dicom.file_walk import Archives, Found, Refused

__all__ = [
    "AuditReport",
    "Finding",
    "Unexamined",
    "audit_paths",
    "audit_zip",
    "empty_report",
    "findings_of_file",
]

_UNEXAMINED = {
    LeftOut.NOT_DICOM: Unexamined.OTHER_FILE,
    LeftOut.ARCHIVE: Unexamined.ARCHIVE,
    LeftOut.SPECIAL_FILE: Unexamined.SPECIAL_FILE,
    LeftOut.UNSAFE_NAME: Unexamined.UNSAFE_NAME,
}


def audit_zip(path: Path) -> AuditReport:
    """Every DICOM file in a zip. Raises BadInput: no such file."""
    return audit_paths([path])


def audit_paths(paths: Sequence[Path], progress: Progress | None = None) -> AuditReport:
    """Every file under `paths`, in folders and archives too.

    What is damaged counts as a file with the finding `unreadable`; what is not DICOM (licences, tables) or is not
    opened is counted as not examined. progress: one step per file. Raises BadInput: a path does not exist, or a folder
    is empty.
    """
    from chestgan_core.dicom.burned_in import PixelSample
    from chestgan_core.dicom.file_walk import Archives, Refused, walk

    report = empty_report()
    with Archives() as archives:
        pixels = PixelSample(archives)
        for file in walk(paths, archives):
            report += _refused(file) if isinstance(file, Refused) else _examined(file, archives, pixels)
            if progress is not None:
                progress.step()
    return report


def findings_of_file(data: bytes) -> set[Finding]:
    """The findings in the bytes of one DICOM file, without its pixels; `unreadable` where it is damaged."""
    from chestgan_core.dicom.identifying_attributes import findings_in
    from chestgan_core.dicom.whole_file import read_whole

    try:
        return findings_in(read_whole(data))
    except Exception:
        # Values are converted when they are read, and pydicom raises any exception on damaged ones.
        return {Finding.UNREADABLE}


def _refused(file: "Refused") -> AuditReport:
    if file.reason in (
        LeftOut.DUPLICATE,
        LeftOut.EMPTY,
    ):  # a folder that was reached before; a file without a byte
        return empty_report()
    if reason := _UNEXAMINED.get(file.reason):
        return AuditReport(0, unexamined={reason: 1})
    return AuditReport(1, {Finding.UNREADABLE: 1})


def _examined(file: "Found", archives: "Archives", pixels: "PixelSample") -> AuditReport:
    from chestgan_core.dicom.dicom_file import is_dicom
    from chestgan_core.dicom.file_walk import MAX_SLICE_BYTES, READ_ERRORS

    if PurePath(file.name).name == MARKER:  # of a folder that a command of ours wrote
        return empty_report()
    if not is_dicom(file.head):
        return AuditReport(0, unexamined={Unexamined.OTHER_FILE: 1} if file.size else {})
    if file.size > MAX_SLICE_BYTES:
        return AuditReport(1, unexamined={Unexamined.TOO_LARGE: 1})
    try:
        data = file.head if len(file.head) >= file.size else archives.read(file.location, MAX_SLICE_BYTES)
    except READ_ERRORS:
        return AuditReport(1, {Finding.UNREADABLE: 1})
    findings = Counter(findings_of_file(data))
    pictures = 0
    if Finding.UNREADABLE not in findings:
        pictures, shows_text = pixels.search(file, partial(archives.read, file.location))
        if shows_text:
            findings[Finding.TEXT_IN_PIXELS] = 1
    return AuditReport(1, findings, pictures=pictures)
