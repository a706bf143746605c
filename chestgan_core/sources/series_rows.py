"""The rows of a catalog: one per series (of a folder: per stack of a series), with its status; and their sums.

In: what a source says about its series. Out: SeriesRow, Catalog, CatalogSummary. Nothing here reads or writes.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from chestgan_core.dicom.left_out import Cause
from chestgan_core.store.artefacts import content_version

SELECTED = "selected"
ANOTHER_CHOSEN = "another-series-chosen"
FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series of a collection. An empty text and the number 0 mean unknown.

    patient, key: `Pseudonyms.patient` of the PatientID and `Pseudonyms.series` of the SeriesInstanceUID, as they appear
    in the store. stack: where a series of a folder has several scans or reconstructions, each is a row; then the label
    of this one, with which the key ends (`stack_key`). images: how many slices the source has. revision: any text that
    changes whenever the content of the series does. bytes: of its files. description, study_description:
    `single_spaced`; where the dataset is private, they are removed later, and kernel and manufacturer are families.
    histology: `histology_of` the PatientID. thickness_mm, spacing_mm: of the slices. licence, doi: of this series;
    where unknown, those of the dataset hold. analysis: the analysis result of the Imaging Data Commons that it belongs
    to; empty for original images. location: where the source fetches it from. files: where the slices in a folder lie,
    from feet to head (folder_series.FolderFiles). status: a series_selection.SeriesStatus; empty until the selection
    rules are applied.
    """

    patient: str
    key: str
    images: int
    revision: str
    bytes: int = 0
    modality: str = ""
    sop_class: str = ""
    photometric: str = ""
    description: str = ""
    study_description: str = ""
    kernel: str = ""
    manufacturer: str = ""
    histology: str = ""
    thickness_mm: float = 0.0
    spacing_mm: float = 0.0
    licence: str = ""
    doi: str = ""
    analysis: str = ""
    location: str = ""
    files: list[str] = field(default_factory=list)
    status: str = ""
    stack: str = ""

    @property
    def series(self) -> str:
        """The key of the whole series, whichever of its stacks this is."""
        return self.key.removesuffix(f"-{self.stack}") if self.stack else self.key


@dataclass(frozen=True)
class Amount:
    """How much some series amount to."""

    series: int
    patients: int
    images: int
    bytes: int


@dataclass(frozen=True)
class CatalogSummary:
    """all: every row. clean: those that meet every rule, before one is chosen per patient.

    left_out_series: status -> number of series that are not selected; with `selected` they add up to `all`. histology:
    letter (empty: unknown) -> the selected series of it.
    """

    all: Amount
    clean: Amount
    selected: Amount
    left_out_series: dict[str, int]
    histology: dict[str, Amount]

    @property
    def series(self) -> int:
        """Number of rows."""
        return self.all.series

    def as_json(self) -> dict[str, Any]:
        """As plain values, for a manifest or for --json."""
        return asdict(self)


@dataclass(frozen=True)
class Catalog:
    """rows: every series, sorted by patient and key.

    left_out: reason -> number of files that belong to no row. files: how many files were read. causes: why files are
    left out, doubts: what is doubtful about those of rows; grouped, with a file each, by its path in the folder. Empty
    and 0 where the source is not a folder.
    """

    rows: tuple[SeriesRow, ...]
    left_out: dict[str, int] = field(default_factory=dict)
    files: int = 0
    causes: tuple[Cause, ...] = ()
    doubts: tuple[Cause, ...] = ()

    @cached_property
    def selected(self) -> tuple[SeriesRow, ...]:
        """The series that are to be fetched."""
        return tuple(row for row in self.rows if row.status == SELECTED)

    @cached_property
    def _by_patient(self) -> dict[str, tuple[SeriesRow, ...]]:
        found: dict[str, list[SeriesRow]] = {}
        for row in self.selected:
            found.setdefault(row.patient, []).append(row)
        return {patient: tuple(rows) for patient, rows in found.items()}

    @property
    def patients(self) -> tuple[str, ...]:
        """Keys of the patients with a selected series, sorted."""
        return tuple(self._by_patient)

    def of(self, patient: str) -> tuple[SeriesRow, ...]:
        """The selected series of one patient."""
        return self._by_patient.get(patient, ())

    def fingerprint(self, patient: str) -> str:
        """16 hexadecimal digits that change when a selected series of the patient is added, removed or revised."""
        return content_version([[row.key, row.revision] for row in self.of(patient)])

    def summary(self) -> CatalogSummary:
        """The sums of the rows."""
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


def stack_key(series: str, stack: str) -> str:
    """The key of one stack of a series; that of the series where it has no other."""
    return f"{series}-{stack}" if stack else series


def delivery_name(row: SeriesRow) -> str:
    """Name of one revision of a series. The revision is hashed, as it is any text."""
    return f"{row.key}-{content_version(row.revision)}"


def collection_id(name: str) -> str:
    """The id that the Imaging Data Commons gives a collection of TCIA: `Lung-PET-CT-Dx` is lung_pet_ct_dx."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def single_spaced(text: str) -> str:
    """The text with single spaces for any white space: `Chest  3D` and `Chest 3D` are the same description."""
    return " ".join(text.split())
