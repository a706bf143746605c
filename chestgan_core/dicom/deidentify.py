"""Cleans a folder of DICOM files: `chestgan deidentify`.

In: files, folders or archives; options of PS3.15 annex E; the patient key of this installation. Out: a folder with
`<patient>/<series>/<instance>.dcm` under keyed names, and how many files became part of it or did not, and why. No list
of old and new names is written: the same key gives the same names again, and nobody without it can go back.

Every file is checked by the audit before it is written: what still has a finding that stops a private folder, whose
pixels may show text, or that cannot be read is counted and left out. The files appear when all are done.
"""

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from chestgan_core.dicom.audit import findings_of_file
from chestgan_core.dicom.burned_in import has_text
from chestgan_core.dicom.cleaned_file import CleanedFile, Plan, cleaned_file
from chestgan_core.dicom.confidentiality import Option
from chestgan_core.dicom.dicom_file import is_dicom
from chestgan_core.dicom.file_walk import (
    MAX_SLICE_BYTES,
    READ_ERRORS,
    Archives,
    FileLocation,
    Found,
    Refused,
    walk,
)
from chestgan_core.dicom.headers import SECONDARY_CAPTURE, SliceHeader, read_header
from chestgan_core.dicom.identity import text_of
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.pixels import PixelsLeftOut, stored_pixels
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.dicom.series import read_series
from chestgan_core.dicom.whole_file import WholeFile, read_whole
from chestgan_core.errors import BadInput
from chestgan_core.local.files import file_error
from chestgan_core.local.output import output_folder
from chestgan_core.local.progress import Progress
from chestgan_core.reasons import Reason

KIND = "de-identified files"
# Objects that are text, or point at it: structured reports, presentation states, encapsulated documents.
_DOCUMENTS = (
    "1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.11.", "1.2.840.10008.5.1.4.1.1.104.",
    "1.2.840.10008.5.1.4.1.1.9.",
)  # fmt: skip


class NotCleaned(Reason):
    """Why a file is not in the cleaned folder. `.meaning` explains it in one line."""

    OTHER_FILE = (
        "not-dicom",
        "not a DICOM object: a table, a document, an archive that is not read, a DICOMDIR",
    )
    UNREADABLE = "unreadable", "damaged or cut short: what it holds cannot be judged"
    DOCUMENT = (
        "document",
        "a report, a document, a waveform or a presentation state: its text cannot be cleaned",
    )
    PIXELS = (
        "text-in-pixels",
        "a capture of a screen, or a picture that may show text: pixels are not changed",
    )
    STILL_NAMED = "still-identifying", "the cleaned file still has a finding that stops a private folder"
    REPEATED = "repeated-folder", "a folder that was reached before, under another name"


@dataclass(frozen=True)
class Cleaned:
    """files: how many were written. left_out: the others, by reason. No names of files: they may name people."""

    out: Path
    files: int
    patients: int
    left_out: Counter[NotCleaned] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """For json.dumps."""
        return {
            "out": str(self.out),
            "files": self.files,
            "patients": self.patients,
            "left_out": {str(reason): count for reason, count in sorted(self.left_out.items())},
        }


def deidentify(
    source: Path,
    out: Path,
    options: Iterable[Option],
    names: Pseudonyms,
    progress: Progress | None = None,
) -> Cleaned:
    """Clean every DICOM file of a folder, an archive or a file.

    Args:
        source: What to clean. It is not changed.
        out: A new or empty folder, or one that this function wrote before: its files are replaced.
        options: What is kept or cleaned instead of removed. Of DATES and SHIFTED_DATES at most one.
        names: Keyed (`Pseudonyms.private`).
        progress: Gets one step per file.

    Returns:
        What was written, and what was left out.

    Raises:
        BadInput: The source does not exist or is empty, one folder lies in the other, `out` has other files, or both
            options for dates are given.
        DiskFull: No space is left; `out` is as it was before.
    """
    chosen = frozenset(options)
    if {Option.DATES, Option.SHIFTED_DATES} <= chosen:
        raise BadInput("--options", "dates are kept or shifted, not both", "give one of dates, shifted-dates")
    if names.secret is None:
        raise ValueError("names of a cleaned folder must be keyed")
    _require_apart(source, out)
    with output_folder(out, KIND) as folder:
        part = folder.with_name(f".{folder.resolve().name}.part")
        try:
            shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
            part.mkdir()
            done = _cleaned_into(part, source, out, chosen, names, progress)
            _replace(folder, part)
        except OSError as error:
            raise file_error(out, error) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return done


def _require_apart(source: Path, out: Path) -> None:
    one, other = source.resolve(), out.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise BadInput(out, "lies in the folder that is cleaned, or around it", "give another folder")


def _cleaned_into(
    part: Path,
    source: Path,
    out: Path,
    options: frozenset[Option],
    names: Pseudonyms,
    progress: Progress | None,
) -> Cleaned:
    left_out: Counter[NotCleaned] = Counter()
    patients: set[str] = set()
    files = 0
    with Archives() as archives:
        stacks = _stacks(source, names)
        for found in walk([source], archives):
            stack = "" if isinstance(found, Refused) else stacks.get(found.location, "")
            cleaned = _cleaned(found, archives, Plan(options, names, stack))
            if isinstance(cleaned, CleanedFile):
                _write(part, cleaned)
                patients.add(cleaned.patient)
                files += 1
            elif cleaned is not None:
                left_out[cleaned] += 1
            if progress is not None:
                progress.step()
    return Cleaned(out, files, len(patients), left_out)


def _stacks(source: Path, names: Pseudonyms) -> dict[FileLocation, str]:
    """Of slices in series with several scans: which one they belong to, as long as times and comments still tell."""
    try:
        reading = read_series([source], synthetic="accept")
    except BadInput:  # no usable slice
        return {}
    return {
        header.location: names.stack(series.stack)
        for series in reading.series
        if series.stack
        for header in series.slices
    }


def _cleaned(found: Found | Refused, archives: Archives, plan: Plan) -> CleanedFile | NotCleaned | None:
    """The cleaned file, or why there is none; None: it has no byte."""
    if isinstance(found, Refused):
        if found.reason is LeftOut.EMPTY:
            return None
        reasons = {LeftOut.DUPLICATE: NotCleaned.REPEATED, LeftOut.UNREADABLE: NotCleaned.UNREADABLE}
        return reasons.get(found.reason, NotCleaned.OTHER_FILE)
    if not is_dicom(found.head):
        return NotCleaned.OTHER_FILE if found.size else None
    if found.size > MAX_SLICE_BYTES:
        return NotCleaned.UNREADABLE
    try:
        file = read_whole(archives.read(found.location, MAX_SLICE_BYTES))
        if reason := _unfit(file) or _shows_text(found, archives):
            return reason
        cleaned = cleaned_file(file, plan)
    except READ_ERRORS:
        return NotCleaned.UNREADABLE
    except Exception:
        # Values are converted when they are read, and pydicom raises any exception on damaged ones.
        return NotCleaned.UNREADABLE
    # Nothing is written that the audit would stop, nor whose pixels have changed on the way.
    if any(finding.identifies for finding in findings_of_file(cleaned.data)):
        return NotCleaned.STILL_NAMED
    if read_whole(cleaned.data).pixels != file.pixels:
        return NotCleaned.UNREADABLE
    return cleaned


def _unfit(file: WholeFile) -> NotCleaned | None:
    header, meta = file.parsed.header, file.parsed.meta
    kind = text_of(header, "SOPClassUID") or text_of(meta, "MediaStorageSOPClassUID")
    if "DirectoryRecordSequence" in header:
        return NotCleaned.OTHER_FILE
    if file.parsed.pixels is None and ("Rows" in header or "ImageType" in header or file.hidden):
        return NotCleaned.UNREADABLE  # a copy that broke off before its pixels, or no attributes at all
    if kind.startswith(_DOCUMENTS):
        return NotCleaned.DOCUMENT
    burned_in = text_of(header, "BurnedInAnnotation").upper()
    if burned_in == "YES" or (kind.startswith(SECONDARY_CAPTURE) and burned_in != "NO"):
        return NotCleaned.PIXELS
    return None


def _shows_text(found: Found, archives: Archives) -> NotCleaned | None:
    """Every slice is searched, not a sample: what is written here is meant to leave the house."""
    header = read_header(found, partial(archives.read, found.location), "accept")
    if not isinstance(header, SliceHeader):
        return None
    try:
        return NotCleaned.PIXELS if has_text(stored_pixels(header, archives)) else None
    except PixelsLeftOut:
        return NotCleaned.UNREADABLE


def _write(part: Path, cleaned: CleanedFile) -> None:
    folder = part / cleaned.patient / (cleaned.series or "no-series")
    folder.mkdir(parents=True, exist_ok=True)
    path, copies = folder / f"{cleaned.instance}.dcm", 1
    while path.exists():  # one SOP instance UID for several files: each stays, as in the source
        copies += 1
        path = folder / f"{cleaned.instance}-{copies}.dcm"
    path.write_bytes(cleaned.data)


def _replace(folder: Path, part: Path) -> None:
    """The new files for those of an earlier run, all of which are ours."""
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    for new in sorted(part.iterdir()):
        new.rename(folder / new.name)
