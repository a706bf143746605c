"""What tells the slices of one series apart that lie at the same position: acquisition, phase, reconstruction, time.

In: a header. Out: `Acquisition`. Values are compared as they are written, and only inside one series; nothing of them
is shown or stored.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

# Each value is a scan or a reconstruction of its own where the slices of two values lie between each other.
SCANS = (
    "ImageType",
    "AcquisitionNumber",
    "TemporalPositionIndex",
    "TemporalPositionIdentifier",
    "NominalPercentageOfCardiacPhase",
    "NominalPercentageOfRespiratoryPhase",
    "ReconstructionDiameter",
    "SeriesNumber",
    "FrameOfReferenceUID",
)
# These may vary inside one scan, so they only count where positions repeat.
HINTS = (
    "IrradiationEventUID",
    "FilterType",
    "KVP",
    "ScanOptions",
    "ContrastBolusAgent",
    "ProtocolName",
    "ReconstructionTargetCenterPatient",
    "ReconstructionAlgorithm",
    "GantryDetectorTilt",
    "AcquisitionDate",
    "SeriesTime",
    "ImageComments",
    "LossyImageCompression",
    "LossyImageCompressionMethod",
)
# Numbers that grow from scan to scan. The last ones depend on the reconstruction too.
ORDERS = (
    "TriggerTime",
    "FrameReferenceTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
    "InstanceNumber",
)
KEYWORDS = (*SCANS, *HINTS, *ORDERS, "SliceLocation")
_SCAN_TAGS, _HINT_TAGS, _ORDER_TAGS = (
    tuple(int(Tag(name)) for name in names) for names in (SCANS, HINTS, ORDERS)
)
_SLICE_LOCATION = int(Tag("SliceLocation"))
_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)")


@dataclass(frozen=True, slots=True)
class Acquisition:
    """scans, hints: values of SCANS and HINTS, empty where unknown. orders: of ORDERS, None where unknown.
    slice_location: mm, along an axis that the vendor chooses.
    """

    scans: tuple[str, ...] = ("",) * len(SCANS)
    hints: tuple[str, ...] = ("",) * len(HINTS)
    orders: tuple[float | None, ...] = (None,) * len(ORDERS)
    slice_location: float | None = None


def acquisition_of(dataset: Dataset) -> Acquisition:
    """What a header says about the acquisition. Values of a wrong form are compared as text, or are unknown."""
    elements = {int(tag): element for tag, element in dataset.items()}
    return Acquisition(
        _shared(tuple([_text(elements.get(tag)) for tag in _SCAN_TAGS])),
        _shared(tuple([_text(elements.get(tag)) for tag in _HINT_TAGS])),
        tuple([_number(elements.get(tag)) for tag in _ORDER_TAGS]),
        _number(elements.get(_SLICE_LOCATION)),
    )


@lru_cache(4096)
def _shared(values: tuple[str, ...]) -> tuple[str, ...]:
    """One object for all slices with these values: a collection has a quarter of a million."""
    return values


def _text(element: DataElement | RawDataElement | None) -> str:
    """As it is in the file: no conversion fails, and none costs time."""
    value = None if element is None else element.value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("latin-1").lstrip(" ").rstrip(" \0")  # not the zeros before a binary number
    return "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value).strip()


def _number(element: DataElement | RawDataElement | None) -> float | None:
    found = _NUMBER.match(_text(element))
    return float(found[1]) if found else None
