"""Text and UIDs of a header that say whose file it is, in the form in which they are compared (patient_ids.py).

In: a data set. Out: text.
"""

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from chestgan_core.dicom.attributes import encodable, value_of
from chestgan_core.dicom.patient_ids import normal_uid


def text_of(dataset: Dataset, keyword: str) -> str:
    """An attribute as text, several values joined as in DICOM; empty: absent, or not of its value representation."""
    value = value_of(dataset, keyword)
    text = "\\".join(map(str, value)) if isinstance(value, MultiValue | list) else str(value or "")
    return encodable(text)  # two ids that differ in a damaged character only stay different


def uid_of(dataset: Dataset, keyword: str, meta_keyword: str = "") -> str:
    """A UID of the data set, or of its file meta information where the data set has none."""
    found = normal_uid(text_of(dataset, keyword))
    meta = getattr(dataset, "file_meta", None)
    if found or not meta_keyword or meta is None:
        return found
    return normal_uid(text_of(meta, meta_keyword))
