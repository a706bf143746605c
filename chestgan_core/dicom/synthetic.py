"""Whether an object says of itself that its content was made rather than acquired: a generator's output, fed back.

In: a data set. Out: why it counts as synthetic, or nothing. DICOM has two ways to say so: Synthetic Data (0008,001C) is
YES (PS3.3 C.12.1), and a Contributing Equipment item whose purpose is Synthesizing Equipment (109100, DCM). Neither
names a generator, and an object that has lost both cannot be told from a real one.
"""

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from chestgan_core.dicom.attributes import value_of
from chestgan_core.dicom.identity import text_of

ATTRIBUTES = ("SyntheticData", "ContributingEquipmentSequence")
SYNTHESIZING_EQUIPMENT = "109100"  # in the scheme DCM
_SYNTHETIC_DATA = Tag("SyntheticData")


def synthetic_cause(header: Dataset) -> str:
    """Why the object counts as synthetic, in words without a value of the file; empty: nothing in it says so.

    Upper and lower case, blanks, a wrong value representation and further values do not hide a YES. A value that is
    neither YES nor NO counts as YES: whoever wrote it had something to say. An empty one says nothing.
    """
    stated = set(_stated(header)) - {""}
    if "YES" in stated:
        return "SyntheticData is YES"
    if stated - {"NO"}:
        return "SyntheticData is neither YES nor NO"
    return "its equipment is a synthesizer (109100, DCM)" if names_synthesizer(header) else ""


def says_synthetic(header: Dataset) -> bool:
    """Whether the object says so as the standard writes it: SyntheticData is YES, and nothing else."""
    return set(_stated(header)) == {"YES"}


def names_synthesizer(header: Dataset) -> bool:
    """Whether its contributing equipment has the purpose Synthesizing Equipment."""
    return any(
        text_of(code, "CodeValue").strip(" \0") == SYNTHESIZING_EQUIPMENT
        and text_of(code, "CodingSchemeDesignator").strip(" \0").upper() in ("DCM", "")
        for item in _items(header, "ContributingEquipmentSequence")
        for code in _items(item, "PurposeOfReferenceCodeSequence")
    )


def _items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    found = value_of(dataset, keyword)
    if isinstance(found, Sequence):
        yield from found


def _stated(header: Dataset) -> Iterator[str]:
    """The values of SyntheticData in upper case, as they are encoded: a conversion could fail, and hide one."""
    if _SYNTHETIC_DATA not in header:
        return
    value: Any = header.get_item(_SYNTHETIC_DATA).value
    if isinstance(value, bytes):
        value = value.decode("latin-1").split("\\")
    elif not isinstance(value, MultiValue | list | tuple):
        value = [] if value is None else [value]
    for one in value:
        yield from (part.strip(" \0\t\r\n").upper() for part in str(one).split("\\"))
