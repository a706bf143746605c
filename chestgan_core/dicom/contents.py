"""Which files hold the same image: the same Hounsfield units at the same place of the same patient.

In: headers of files that may be copies of each other. Out: each image once, and copies and unreadable files with their
reason. Pixels are read only of files that share a SOP instance UID or a position; of byte-identical files none is
decoded.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from chestgan_core.dicom.file_walk import MAX_SLICE_BYTES, READ_ERRORS, Archives
from chestgan_core.dicom.headers import SliceHeader
from chestgan_core.dicom.hounsfield import to_hounsfield
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.pixels import PixelsLeftOut, stored_pixels

Dropped: TypeAlias = tuple[SliceHeader, LeftOut, str]
"""A file that is left out, the reason and the cause."""


def distinct(
    headers: Sequence[SliceHeader], archives: Archives
) -> tuple[dict[str, SliceHeader], list[Dropped]]:
    """Each image once, by a hash of its content, and what is left out: copies, and files that cannot be read.

    Of copies the one with the most complete header stays; between equal ones the choice changes nothing but the name of
    the file. A damaged copy never hides a good one.
    """
    kept: dict[str, SliceHeader] = {}
    dropped: list[Dropped] = []
    for first, *copies in _byte_identical(headers, archives, dropped):
        try:
            content = _content(first, archives)
        except PixelsLeftOut as left_out:
            dropped += [(file, left_out.reason, left_out.cause) for file in (first, *copies)]
            continue
        if content in kept:
            copies = [first, *copies]
        kept.setdefault(content, first)
        dropped += [(copy, LeftOut.DUPLICATE, "") for copy in copies]
    return kept, dropped


def _byte_identical(
    headers: Iterable[SliceHeader], archives: Archives, dropped: list[Dropped]
) -> list[list[SliceHeader]]:
    groups: defaultdict[bytes, list[SliceHeader]] = defaultdict(list)
    # In the order of the files, as an archive is read best from front to back.
    for header in sorted(headers, key=lambda one: (one.location.path, one.location.entries)):
        try:
            raw = archives.read(header.location, MAX_SLICE_BYTES)
        except READ_ERRORS:
            dropped.append((header, LeftOut.UNREADABLE, "the file is damaged or cut short"))
        else:
            groups[hashlib.sha256(raw).digest()].append(header)
    return sorted(groups.values(), key=lambda files: _completeness(files[0]))


def _content(header: SliceHeader, archives: Archives) -> str:
    """32 hexadecimal digits that name patient, place and pixels in HU. Raises PixelsLeftOut."""
    stored = stored_pixels(header, archives)
    geometry = header.geometry
    place = (*geometry.origin_mm, *geometry.normal, geometry.row_mm, geometry.column_mm)
    turned = geometry.transpose, geometry.flip_rows, geometry.flip_columns
    patient = header.series.patient_id or header.series.study_uid
    digest = hashlib.sha256(
        repr((patient, [round(one, 3) for one in place], turned, stored.shape)).encode(
            "utf-8", "backslashreplace"
        )
    )
    digest.update(to_hounsfield(stored, header.rescale).tobytes())
    return digest.hexdigest()[:32]


def _completeness(header: SliceHeader) -> tuple[int, str]:
    """Sorts a file with more of its header first; between files with as much the values decide, not the names."""
    series, acquisition = header.series, header.acquisition
    values = (
        header.sop_uid,
        *(series.uid, series.study_uid, *series.person, series.kernel, series.manufacturer),
        *(str(series.thickness_mm or ""), series.description, series.study_description, series.age_band),
        *acquisition.scans,
        *acquisition.hints,
        *map(str, acquisition.orders),
    )
    return -sum(value not in ("", "None") for value in values), repr(values)
