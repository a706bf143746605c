"""Tumour boxes from PASCAL VOC files: `.../<patient>/<SOPInstanceUID>.xml`, in a folder or a zip.

In: the folder or zip, and which folder belongs to which patient. Out: boxes, and counts of defects. The name of a file
is its slice, the folder that it lies in its patient; its elements `filename` and `folder` are `Unknow` in
Lung-PET-CT-Dx.

Edges are read as labelImg writes them: lines between pixels, counted from 0, so xmin = 286 is the left edge of the
pixel with 286 others to its left. Fractional coordinates are rounded outwards to whole pixels.
"""

import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from chestgan_core.local.progress import Progress
from chestgan_core.sources.annotations.boxes import Defect, Found, TumourBox

# An annotation has some 500 bytes an object.
MAX_FILE_BYTES = 1024**2
MAX_ELEMENTS, MAX_DEPTH = 10_000, 16
MAX_EDGE = 65535  # Rows and Columns have 16 bits (PS3.3 C.7.6.3)
MIN_EDGE = 2  # pixels: 1 to 2 mm of a chest
NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")
UID = re.compile(r"(?=.{3,64}$)[0-9]+(\.[0-9]+)+")  # PS3.5 9.1
LETTERS = "ABEG"


class RefusedXml(Exception):
    """XML that is well-formed so far and must not be read on. defect: why."""

    def __init__(self, defect: Defect) -> None:
        self.defect = defect
        super().__init__(defect.meaning)


def read_voc_files(path: Path, patient_of: Callable[[str], str], progress: Progress | None = None) -> Found:
    """Every box in the XML files below `path`. Files with another suffix are ignored.

    patient_of: name of a folder -> patient of the catalog, "" for none. Raises BadInput: no such path, or empty.
    """
    from chestgan_core.dicom.file_walk import READ_ERRORS, Archives, Refused, walk
    from chestgan_core.dicom.left_out import LeftOut

    found = Found()
    with Archives() as archives:
        for file in walk([path], archives):
            if isinstance(file, Refused):
                found.defects[Defect.UNREADABLE] += file.reason not in (LeftOut.NOT_DICOM, LeftOut.DUPLICATE)
            else:
                # The name of an entry in a zip follows after a colon.
                name = PurePosixPath(file.name.replace("\\", "/").replace(":", "/"))
                if name.suffix.lower() == ".xml":
                    sop_uid = name.stem if UID.fullmatch(name.stem) else ""
                    patient = patient_of(name.parent.name)
                    if file.size > MAX_FILE_BYTES:
                        found.lose(Defect.TOO_LARGE, sop_uid, patient)
                    else:
                        try:
                            data = archives.read(file.location, MAX_FILE_BYTES)
                        except READ_ERRORS:
                            found.lose(Defect.UNREADABLE, sop_uid, patient)
                        else:
                            found.add(read_voc(data, sop_uid, patient))
            if progress is not None:
                progress.step()
    return found


def read_voc(data: bytes, sop_uid: str, patient: str) -> Found:
    """The boxes of one file. sop_uid: of the slice, "" where the name of the file is none."""
    found = Found()
    if not sop_uid:
        found.lose(Defect.NO_UID)
        return found
    try:
        root = parse_xml(data)
    except RefusedXml as error:
        found.lose(error.defect, sop_uid, patient)
        return found
    # LookupError, ValueError: an encoding that neither expat nor Python supports.
    except (ElementTree.ParseError, LookupError, ValueError):
        found.lose(Defect.UNPARSABLE, sop_uid, patient)
        return found
    if root.tag != "annotation":
        found.lose(Defect.UNPARSABLE, sop_uid, patient)
        return found
    found.defects[Defect.UNKNOWN_PATIENT] += not patient
    stated = _numbers(root.find("size"), "width", "height")
    is_size = stated is not None and all(0 < edge <= MAX_EDGE and edge == int(edge) for edge in stated)
    width, height = map(int, stated) if stated is not None and is_size else (0, 0)
    found.defects[Defect.NO_SIZE] += not is_size
    # One object may have several boxes; the collection's own reader takes all of them, too.
    drawn = [(thing, box) for thing in root.iter("object") for box in thing.iter("bndbox")]
    if not drawn:
        found.lose(Defect.NO_OBJECT, sop_uid, patient)
    for thing, element in drawn:
        edges = _numbers(element, "xmin", "ymin", "xmax", "ymax")
        whole = Defect.BAD_BOX if edges is None else whole_box(edges, (width or math.inf, height or math.inf))
        if isinstance(whole, Defect):
            found.lose(whole, sop_uid, patient)
            continue
        found.defects[Defect.REACHES_OUT] += whole.cut
        label = read_label(thing.findtext("name") or "", found.defects)
        found.boxes.append(
            TumourBox(
                patient,
                sop_uid,
                *whole.edges,
                label=label,
                origin="voc",
                image_width=width,
                image_height=height,
            )
        )
    return found


def parse_xml(data: bytes, max_elements: int = MAX_ELEMENTS) -> ElementTree.Element:
    """XML without a document type, of the size of an annotation. max_elements: of one of this kind.

    Raises RefusedXml, ElementTree.ParseError, LookupError or ValueError (encoding). All attacks that the parser of the
    standard library is vulnerable to (entities that expand, or that read files) need a document type; without one,
    defusedxml would add nothing.
    """
    parser = ElementTree.XMLParser(target=_AnnotationBuilder(max_elements))  # noqa: S314 (document types are refused)
    parser.feed(data)
    root: ElementTree.Element = parser.close()
    return root


class _AnnotationBuilder(ElementTree.TreeBuilder):
    """Stops at what no annotation has, before it is built."""

    def __init__(self, max_elements: int) -> None:
        super().__init__()
        self._max_elements = max_elements
        self._open: list[str] = []
        self._elements = 0

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called at the start of a document type, before anything in it is read."""
        raise RefusedXml(Defect.DOCTYPE)

    def start(self, tag: str, attrs: dict[str, str], /) -> ElementTree.Element:
        """Called for each element."""
        if tag in ("object", "bndbox") and tag in self._open:
            raise RefusedXml(Defect.NESTED)
        self._elements += 1
        if self._elements > self._max_elements or len(self._open) >= MAX_DEPTH:
            raise RefusedXml(Defect.TOO_LARGE)
        self._open.append(tag)
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ElementTree.Element:
        """Called at the end of each element."""
        self._open.pop()
        return super().end(tag)


class WholeBox:
    """Edges in whole pixels. cut: whether the box reached beyond the image."""

    def __init__(self, edges: tuple[int, int, int, int], cut: bool) -> None:
        self.edges, self.cut = edges, cut


def whole_box(edges: tuple[float, ...], size: tuple[float, ...]) -> "WholeBox | Defect":
    """left, top, right, bottom in pixels -> the smallest box of whole pixels around them, within the image.

    size: width and height of the image, infinite if unknown; no image is larger than MAX_EDGE. What is no box in pixels
    is a defect: nothing is guessed.
    """
    left, top, right, bottom = edges
    if left > right or top > bottom:
        return Defect.REVERSED
    if left == right or top == bottom:
        return Defect.EMPTY_BOX
    if min(edges) >= 0 and max(edges) <= 1:
        return Defect.FRACTIONS
    width, height = (min(edge, MAX_EDGE) for edge in size)
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return Defect.OUTSIDE
    within = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if min(within[2] - within[0], within[3] - within[1]) < MIN_EDGE:
        return Defect.TINY
    whole = math.floor(within[0]), math.floor(within[1]), math.ceil(within[2]), math.ceil(within[3])
    return WholeBox(whole, within != edges)


def read_label(text: str, defects: Counter[Defect]) -> str:
    """A, B, E or G, or "" for any other text; deviations are counted."""
    label = text.strip()
    if label.upper() not in LETTERS or len(label) != 1:
        defects[Defect.STRAY_LABEL] += 1
        return ""
    defects[Defect.LOWER_CASE] += label.islower()
    return label.upper()


def _numbers(element: ElementTree.Element | None, *names: str) -> tuple[float, ...] | None:
    if element is None:
        return None
    texts = [[(found.text or "").strip() for found in element.findall(name)] for name in names]
    if not all(len(found) == 1 and NUMBER.fullmatch(found[0]) for found in texts):
        return None
    numbers = tuple(float(found[0]) for found in texts)
    return numbers if all(map(math.isfinite, numbers)) else None
