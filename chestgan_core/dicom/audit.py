"""De-identification audit: whether anything in these files still says who the patient is.

In: DICOM files, zips and folders; of each file the header only, never the pixels. Out: `AuditReport`: how many files
have which finding. Values are neither kept nor printed: a report must not become what it warns of.

A report without findings does not prove that a patient cannot be identified: a face, a rare disease or a shifted date
may suffice. It says that the attributes of DICOM PS3.15 annex E that identify are absent.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.dicom.audit_report import AuditReport, Finding, empty_report
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.local.progress import Progress

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from chestgan_core.dicom.file_walk import Found

__all__ = ["AuditReport", "Finding", "audit_paths", "audit_zip", "empty_report"]

# Most headers are shorter; that of a Siemens scanner has some 100 KB of private text.
HEADER_LIMITS = (64 * 1024, 1024**2, 256 * 1024**2)


def audit_zip(path: Path) -> AuditReport:
    """Every DICOM file in a zip. Raises BadInput: no such file."""
    return audit_paths([path])


def audit_paths(paths: Sequence[Path], progress: Progress | None = None) -> AuditReport:
    """Every DICOM file under `paths`, in folders and zips too; other files (licences, tables) are not counted.

    What cannot be read counts as a file with the finding `unreadable`. progress: one step per file.
    Raises BadInput: a path does not exist, or a folder is empty.
    """
    from chestgan_core.dicom.file_walk import Archives, Refused, walk
    from chestgan_core.dicom.headers import PREAMBLE

    files = 0
    findings: Counter[Finding] = Counter()
    with Archives() as archives:
        for file in walk(paths, archives):
            if isinstance(file, Refused):
                if file.reason not in (LeftOut.NOT_DICOM, LeftOut.DUPLICATE):
                    files += 1
                    findings[Finding.UNREADABLE] += 1
            elif file.head[PREAMBLE - 4 : PREAMBLE] == b"DICM":
                files += 1
                header = _header(file, partial(archives.read, file.location))
                findings.update(_findings_in(header))
            if progress is not None:
                progress.step()
    return empty_report() + AuditReport(files, findings)  # the sum is in the order of the findings


def _findings_in(header: "Dataset | None") -> set[Finding]:
    from chestgan_core.dicom.identifying_attributes import findings_of

    if header is None:
        return {Finding.UNREADABLE}
    try:
        return findings_of(header)
    except Exception:
        # Values are converted when they are read, and pydicom raises any exception on damaged ones.
        return {Finding.UNREADABLE}


def _header(file: "Found", read: Callable[[int], bytes]) -> "Dataset | None":
    """All attributes before the pixels; None: the file is damaged. read(n) returns its first n bytes."""
    from io import BytesIO

    import pydicom

    from chestgan_core.dicom.file_walk import READ_ERRORS
    from chestgan_core.dicom.headers import inflated

    for limit in (len(file.head), *HEADER_LIMITS):
        whole = limit >= file.size
        try:
            head = file.head if limit <= len(file.head) else read(limit)
            data = inflated(head, 16 * len(head))
            stream = BytesIO(data)
            header = pydicom.dcmread(stream, stop_before_pixels=True)
            if whole or stream.tell() < len(data):
                # pydicom parses any bytes somehow; without a transfer syntax it has guessed (PS3.10 7.1).
                return header if header.file_meta.get("TransferSyntaxUID") else None
        except READ_ERRORS:
            if whole:
                return None
        except Exception:
            # The head ends within a sequence, or the file is damaged; pydicom raises any exception then.
            if whole:
                return None
    return None
