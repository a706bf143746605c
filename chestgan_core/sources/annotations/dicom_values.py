"""Sequences and long lists of numbers in DICOM objects of strangers, with limits.

In: an item of a data set. Out: its items, or its numbers. What is beyond a limit is refused as a whole.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chestgan_core.dicom.attributes import numbers_of, value_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_NUMBERS = frozenset(b"0123456789+-.eE\\ \0")


class TooMany(Exception):
    """A sequence has more items than any object of its kind."""


def items_of(item: "Dataset", keyword: str, limit: int) -> Iterator["Dataset"]:
    """The items of a sequence; none where it is missing or damaged. Raises TooMany: more than `limit`."""
    from pydicom.sequence import Sequence

    value = value_of(item, keyword)
    if isinstance(value, Sequence):
        if len(value) > limit:
            raise TooMany(keyword)
        yield from value


def numbers_in(item: "Dataset", keyword: str, limit: int) -> NDArray[np.float64] | None:
    """The numbers of an attribute, finite; None: missing, damaged or more than `limit`. With pydicom a hundred thousand
    of them take a second.
    """
    from pydicom.tag import Tag

    if keyword not in item:
        return None
    value = item.get_item(Tag(keyword)).value
    parts: list[str] | list[float]
    if isinstance(value, bytes):
        if not _NUMBERS.issuperset(value) or value.count(b"\\") >= limit:
            return None
        parts = value.decode("ascii").replace("\0", " ").split("\\")
    else:
        parts = list(numbers_of(item, keyword) or ())
    try:
        numbers = np.array([float(part) for part in parts])
    except ValueError:
        return None
    return numbers if 0 < len(numbers) <= limit and bool(np.isfinite(numbers).all()) else None
