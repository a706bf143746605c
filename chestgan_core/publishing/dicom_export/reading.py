"""Exported DICOM files back as levels and labels, from files that may be anybody's.

In: a file, or the folder that export_dicom wrote. Out: the levels of the set, with the same sha256, and what the label
of the set says. Sizes are bounded before anything is allocated; a damaged file is one error that names it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from chestgan_core.dicom.dicom_file import Parsed, inflated, is_dicom, parse
from chestgan_core.dicom.identity import text_of
from chestgan_core.dicom.pixel_layout import MAX_SIDE, BadLayout, layout_of
from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.layouts.layout import Edges
from chestgan_core.local.files import file_error, open_regular
from chestgan_core.publishing.dicom_export.statements import REMEDY, ImageFacts, parse_facts
from chestgan_core.publishing.reader.levels import Levels, max_level, sha256_of_levels

SUFFIX = ".dcm"
_REPORT = "-boxes"
MAX_FILE_BYTES = 2 * MAX_SIDE**2 + 2**20
_HEADER_BYTES = 2**16  # of a file of ours, with room for what an archive adds
_MAX_REPORT_BYTES = 16 * 2**20
_SYNTHESIZING, _REGION = ("109100", "DCM"), ("111030", "DCM")
_MAX_DEPTH = 16  # of content items; a report of ours has 4


class Exported(NamedTuple):
    """levels: (H, W) uint8 or little-endian uint16. label: as in a set: index, seed, class, boxes, position, sha256.
    facts: which set and model it is of.
    """

    levels: Levels
    label: dict[str, Any]
    facts: ImageFacts


@dataclass(frozen=True)
class StoredImage:
    """An uncompressed DICOM image of 16 bits a pixel. words: (H, W) uint16, as stored. facts: of a file of ours."""

    words: NDArray[np.uint16]
    facts: ImageFacts | None


def image_name(index: int) -> str:
    """The file of image `index` of a set."""
    return f"{index:06d}{SUFFIX}"


def report_name(index: int) -> str:
    """The file with its boxes, where it has any."""
    return f"{index:06d}{_REPORT}{SUFFIX}"


def read_exported(path: Path) -> Exported:
    """One exported image with its boxes, which are in the file beside it.

    Args:
        path: The file of the image, such as 000000.dcm.

    Raises:
        BadInput: It cannot be read, or is no file that `export_dicom` wrote.
        DamagedObject: Its pixels are not those of the image that it names, or its report is missing or another's.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.publishing.dicom_export.export import export_dicom
        >>> from chestgan_core.publishing.dicom_export.reading import read_exported
        >>> done = export_dicom(Path("demo-set"), Path("demo-exported"), numbers=[3])
        >>> image = read_exported(done.folder / "000003.dcm")
        >>> image.levels.shape, image.label["seed"], image.facts.set
        ((64, 64), 3, 'demo')
    """
    stored = read_stored(path)
    facts = _required(stored.facts, path)
    levels = as_levels(stored.words, facts.bits)
    if levels is None or sha256_of_levels(levels, facts.bits) != facts.sha256:
        raise DamagedObject(path, "does not hold the pixels that its header names", REMEDY)
    return Exported(levels, _label(facts, path), facts)


def read_exported_label(path: Path) -> tuple[dict[str, Any], ImageFacts]:
    """As read_exported, without reading or checking a pixel."""
    data = _read(path, _HEADER_BYTES)
    facts = _required(_facts_of(_parsed(data, path).header, str(path)), path)
    return _label(facts, path), facts


def read_exported_folder(folder: Path) -> Iterator[Exported]:
    """All images of a folder, in the order of their numbers. Raises as read_exported; BadInput: there is none."""
    paths = sorted((path for path in folder.glob(f"*{SUFFIX}") if _number(path) is not None), key=_number_of)
    if not paths:
        raise BadInput(folder, "holds no exported image", "give a folder of chestgan sets convert")
    yield from map(read_exported, paths)


def read_stored(path: Path) -> StoredImage:
    """The stored values of any DICOM file whose pixels are of 16 bits and not compressed, and what it says of itself.

    Raises BadInput: not such a file; DamagedObject: it says wrongly of which set it is.
    """
    data = _read(path, MAX_FILE_BYTES)
    if len(data) > MAX_FILE_BYTES:
        raise BadInput(path, f"has more than {MAX_FILE_BYTES:,} bytes", "give an exported image")
    try:
        raw = inflated(data, MAX_FILE_BYTES)
    except Exception as error:
        raise _not_dicom(path) from error
    parsed = _parsed(raw, path)
    facts = _facts_of(parsed.header, str(path))
    if parsed.pixels is None:
        remedy = f"give the image beside it, {image_name(facts.index)}" if facts else "give an exported image"
        raise BadInput(path, "has no pixels", remedy)
    try:
        layout = layout_of(parsed.header, parsed.syntax, parsed.pixels, len(raw))
    except BadLayout as error:
        raise BadInput(
            path, f"has no pixels that can be read ({error.cause})", "give an exported image"
        ) from error
    if not layout.native or layout.allocated != 16 or layout.signed:
        cause = "is compressed" if not layout.native else "has pixels that no exported image has"
        raise BadInput(path, cause, "give it as it was exported, not compressed")
    size = 2 * layout.rows * layout.columns
    pixels = raw[layout.offset : layout.offset + size]
    if len(pixels) < size:
        raise BadInput(path, "ends within its pixels", "copy it again")
    words = np.frombuffer(pixels, "<u2" if layout.little_endian else ">u2").astype("<u2")
    return StoredImage(words.reshape(layout.rows, layout.columns), facts)


def as_levels(words: NDArray[np.uint16], bits: int) -> Levels | None:
    """Stored values as levels of so many bits; None: they do not fit."""
    if int(words.max(initial=0)) > max_level(bits):
        return None
    return words.astype(np.uint8) if bits == 8 else words


def _label(facts: ImageFacts, path: Path) -> dict[str, Any]:
    if facts.boxes:
        _require_report(path.with_name(f"{path.stem}{_REPORT}{SUFFIX}"), facts)
    return {
        "index": facts.index,
        "seed": facts.seed,
        "class": facts.shown,
        "boxes": None if facts.boxes is None else [list(box) for box in facts.boxes],
        "position": facts.position,
        "sha256": facts.sha256,
    }


def _require_report(path: Path, image: ImageFacts) -> None:
    """The report on an image has its boxes. Raises BadInput, DamagedObject."""
    data = _read(path, _MAX_REPORT_BYTES)
    header = _parsed(data, path).header
    if _facts_of(header, str(path)) != image:
        raise DamagedObject(path, "is not the report on the image beside it", REMEDY)
    try:
        boxes = [_box(item) for item in _items(header) if _concept(item) == _REGION]
    except Exception as error:  # pydicom raises any exception on damaged values
        raise DamagedObject(path, "has a region that cannot be read", REMEDY) from error
    if (count := len(image.boxes or ())) != len(boxes):
        cause = f"has {len(boxes)} readable boxes, the image says {count}"
        raise DamagedObject(path, cause, REMEDY)
    if tuple(boxes) != image.boxes:
        raise DamagedObject(path, "has other boxes than the image says", REMEDY)


def _box(region: Dataset) -> Edges:
    """x0, y0, x1, y1. DICOM keeps 24 bits: the shortest number that has them is what was written."""
    numbers = np.asarray(region.GraphicData, np.float32)
    xs, ys = numbers[::2], numbers[1::2]
    left, top, right, bottom = (float(str(one)) for one in (xs.min(), ys.min(), xs.max(), ys.max()))
    return left, top, right, bottom


def _items(item: Dataset, depth: int = 0) -> Iterator[Dataset]:
    for child in item.get("ContentSequence") or () if depth < _MAX_DEPTH else ():
        yield child
        yield from _items(child, depth + 1)


def _concept(item: Dataset) -> tuple[str, str]:
    codes = item.get("ConceptNameCodeSequence") or ()
    return next(
        ((text_of(code, "CodeValue"), text_of(code, "CodingSchemeDesignator")) for code in codes), ("", "")
    )


def _facts_of(header: Dataset, where: str) -> ImageFacts | None:
    """What the synthesizing equipment of a file of ours says; None: it has none, or one that is not ours."""
    try:
        for item in header.get("ContributingEquipmentSequence") or ():
            purposes = item.get("PurposeOfReferenceCodeSequence") or ()
            codes = [(text_of(one, "CodeValue"), text_of(one, "CodingSchemeDesignator")) for one in purposes]
            line = text_of(item, "ContributionDescription").strip()
            if _SYNTHESIZING in codes and line.startswith("{"):
                return parse_facts(line, where)
    except DamagedObject:
        raise
    except Exception as error:
        raise DamagedObject(where, "has a header that is damaged", REMEDY) from error
    return None


def _required(facts: ImageFacts | None, path: Path) -> ImageFacts:
    if facts is None:
        raise BadInput(
            path, "does not say which image of which set it is", "give a file of chestgan sets convert"
        )
    return facts


def _parsed(data: bytes, path: Path) -> Parsed:
    if not is_dicom(data):
        raise BadInput(path, "is not a DICOM file", "give an exported image")
    try:
        return parse(data)
    except Exception as error:  # pydicom raises any exception on damaged bytes
        raise _not_dicom(path) from error


def _not_dicom(path: Path) -> BadInput:
    return BadInput(path, "is a damaged DICOM file", "copy it again, or export the set again")


def _read(path: Path, most: int) -> bytes:
    """Its first bytes, at most one more than `most`."""
    try:
        with open_regular(path) as file:
            return file.read(most + 1)
    except OSError as error:
        raise file_error(path, error, "give an exported image") from error


def _number(path: Path) -> int | None:
    return int(path.stem) if path.stem.isascii() and path.stem.isdigit() and len(path.stem) <= 12 else None


def _number_of(path: Path) -> int:
    return _number(path) or 0
