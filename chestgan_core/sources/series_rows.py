"""The rows of a catalog: one series each, with its status, and what they add up to.

In: what a source says of its series. Out: SeriesRow, Catalog, CatalogSummary. Nothing here reads or writes.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from chestgan_core.store.artefacts import content_version

SELECTED = "selected"
ANOTHER_CHOSEN = "another-series-chosen"


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series of a collection. A text that is empty and a number that is 0 are unknown.

    patient, key: names in the store (pseudonyms where the dataset is private). description, study_description: with
    single spaces; empty where the dataset is private. images: slices that the source has; bytes: theirs. histology:
    `histology_of` the patient. licence, doi: of this series. analysis: the analysis result of the Imaging Data Commons
    that it belongs to; empty for the original images. revision: another text whenever the content of the series is
    another. location: where a source fetches it from. files: where the slices of a folder lie, from feet to head
    (folder_series.FolderFiles). status: SELECTED or a rules.SeriesStatus; empty before the rules were applied.
    """

    patient: str
    key: str
    modality: str
    sop_class: str
    photometric: str
    description: str
    kernel: str
    manufacturer: str
    images: int
    bytes: int
    histology: str
    thickness_mm: float
    spacing_mm: float
    licence: str
    doi: str
    analysis: str
    revision: str
    location: str
    files: list[str]
    status: str
    study_description: str = ""


@dataclass(frozen=True)
class Amount:
    """How much some series are together."""

    series: int
    patients: int
    images: int
    bytes: int


@dataclass(frozen=True)
class CatalogSummary:
    """all: the rows that came in. clean: those that meet every rule, before one is chosen for each patient.

    left_out_series: status -> series, for every series that is not selected; with `selected` they add up to `all`.
    histology: letter (empty: none known) -> what is selected of it.
    """

    all: Amount
    clean: Amount
    selected: Amount
    left_out_series: dict[str, int]
    histology: dict[str, Amount]

    @property
    def series(self) -> int:
        """Rows that came in."""
        return self.all.series

    def as_json(self) -> dict[str, Any]:
        """With plain values, for a manifest or an answer."""
        return asdict(self)


@dataclass(frozen=True)
class Catalog:
    """rows: every series, sorted by patient and key.

    left_out: reason -> files that belong to no row, and files: all that were looked at; {} and 0 where the source is
    no folder.
    """

    rows: tuple[SeriesRow, ...]
    left_out: dict[str, int]
    files: int

    @cached_property
    def selected(self) -> tuple[SeriesRow, ...]:
        """The series that are fetched."""
        return tuple(row for row in self.rows if row.status == SELECTED)

    @cached_property
    def _by_patient(self) -> dict[str, tuple[SeriesRow, ...]]:
        found: dict[str, list[SeriesRow]] = {}
        for row in self.selected:
            found.setdefault(row.patient, []).append(row)
        return {patient: tuple(rows) for patient, rows in found.items()}

    @property
    def patients(self) -> tuple[str, ...]:
        """The keys of those with a selected series, sorted."""
        return tuple(self._by_patient)

    def of(self, patient: str) -> tuple[SeriesRow, ...]:
        """The selected series of one patient."""
        return self._by_patient.get(patient, ())

    def fingerprint(self, patient: str) -> str:
        """16 hexadecimal digits that change when a selected series of the patient comes, goes or is revised."""
        return content_version([[row.key, row.revision] for row in self.of(patient)])

    def summary(self) -> CatalogSummary:
        """What the rows add up to."""
        letters = sorted({row.histology for row in self.selected})
        statuses = Counter(row.status for row in self.rows if row.status != SELECTED)
        return CatalogSummary(
            all=amount(self.rows),
            clean=amount(row for row in self.rows if row.status in (SELECTED, ANOTHER_CHOSEN)),
            selected=amount(self.selected),
            left_out_series=dict(sorted(statuses.items())),
            histology={
                letter: amount(row for row in self.selected if row.histology == letter) for letter in letters
            },
        )


def amount(rows: Iterable[SeriesRow]) -> Amount:
    """Series, patients, images and bytes of some rows."""
    rows = tuple(rows)
    return Amount(
        len(rows),
        len({row.patient for row in rows}),
        sum(row.images for row in rows),
        sum(row.bytes for row in rows),
    )


def delivery_name(row: SeriesRow) -> str:
    """Name of a series in one revision. Revisions are hashed, as they are any text and may begin alike."""
    return f"{row.key}-{content_version(row.revision)}"


def collection_id(name: str) -> str:
    """How the Imaging Data Commons calls a collection of TCIA: `Lung-PET-CT-Dx` is lung_pet_ct_dx."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def single_spaced(text: str) -> str:
    """White space of any length as one space: `Chest  3D` and `Chest 3D` are one description."""
    return " ".join(text.split())
