"""Which groups of patients a slice belongs to: class, kernel, scanner, thickness, sex, age.

In: rows of slices. Out: a label per slice for each kind of group, of closed lists (but the classes, which a dataset
names itself); empty where it is not known. Nothing here names a patient. Imports nothing heavy.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from chestgan_core.dicom.histology import HISTOLOGIES
from chestgan_core.dicom.patient_facts import AGE_BANDS, SEXES
from chestgan_core.sources.catalog.kernels import kernel_family
from chestgan_core.sources.catalog.thicknesses import BINS, thickness_bin

if TYPE_CHECKING:
    from chestgan_core.slices.shards import SliceRow

GroupKind: TypeAlias = Literal["class", "histology", "kernel", "scanner", "thickness", "sex", "age"]
PERSONAL: tuple[GroupKind, ...] = ("sex", "age")
"""Of people themselves: quasi-identifiers, of which nothing that is published names a value."""
# The order in which groups are listed; others by name.
_ORDER = (*HISTOLOGIES.values(), "soft", "lung", *BINS, *SEXES.values(), *AGE_BANDS)
_OF_CT: dict[GroupKind, Callable[["SliceRow"], str]] = {
    "histology": lambda row: HISTOLOGIES.get(row.histology, row.histology),
    "kernel": lambda row: _known(kernel_family(row.kernel)),
    "scanner": lambda row: row.manufacturer,
    "thickness": lambda row: thickness_bin(row.thickness_mm),
    "sex": lambda row: SEXES.get(row.sex, ""),
    "age": lambda row: row.age_band,
}


def group_labels(rows: "Sequence[SliceRow]", hounsfield: bool) -> dict[GroupKind, tuple[str, ...]]:
    """Kind -> the label of each slice. hounsfield: whether they are CT; of pictures only the class is known.

    Examples:
        >>> from chestgan_core.slices.shards import SliceRow
        >>> row = SliceRow("P1", "A", "1.2", "1.2.1", 0.0, 0.3, 5.0, kernel="B70f", thickness_mm=1.25, sex="F")
        >>> labels = group_labels([row], hounsfield=True)
        >>> labels["histology"], labels["kernel"], labels["thickness"], labels["sex"], labels["age"]
        (('adenocarcinoma',), ('lung',), ('over 1 to 2 mm',), ('female',), ('',))
    """
    if not hounsfield:
        return {"class": tuple(row.histology for row in rows)}
    return {kind: tuple(map(label, rows)) for kind, label in _OF_CT.items()}


def in_order(labels: Sequence[str]) -> list[str]:
    """Thicknesses and ages from small to large, all else by name."""
    return sorted(labels, key=lambda label: (_ORDER.index(label) if label in _ORDER else -1, label))


def in_words(kind: GroupKind, label: str) -> str:
    """The patients of a group, as the object of a sentence: `patients aged 65 to 74`."""
    words: dict[GroupKind, str] = {
        "class": f"patients of the class {label}",
        "histology": f"patients with {label}",
        "kernel": f"patients with slices of a {label} kernel",
        "scanner": f"patients with slices of a scanner of {label}",
        "thickness": f"patients with slices of {label}",
        "sex": f"{label} patients",
        "age": f"patients aged {label}",
    }
    return words[kind]


def _known(family: str) -> str:
    return "" if family == "unknown" else family
