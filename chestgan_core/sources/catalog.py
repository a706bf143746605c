"""The catalog of a dataset: its usable series, where their files lie, and what was left out for which reason.

In: the dataset's DICOM folder. Out: `catalog/<dataset>/<version>.parquet`, its manifest and the pointer to the
newest. A version is a hash of the rows and of what was left out. Patients of a private folder appear under keyed
hashes.
"""

import os
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core import layout
from chestgan_core.artefacts import sha256_of
from chestgan_core.progress import Progress
from chestgan_core.sources.datasets import Dataset, dataset_named, dicom_folder
from chestgan_core.store import Store

if TYPE_CHECKING:
    from chestgan_core.dicom.files import Source

SEPARATOR = "//"


@dataclass(frozen=True)
class SeriesRow:
    """One usable series. key: its name in the store. files: where the slices lie (`locate`), from feet to head."""

    patient: str
    key: str
    histology: str
    kernel: str
    manufacturer: str
    thickness_mm: float
    spacing_mm: float
    files: list[str]


@dataclass(frozen=True)
class Catalog:
    """left_out: reason -> files. files: all that were looked at."""

    rows: tuple[SeriesRow, ...]
    left_out: dict[str, int]
    files: int

    @property
    def patients(self) -> tuple[str, ...]:
        """Their keys, sorted."""
        return tuple(sorted({row.patient for row in self.rows}))

    def of(self, patient: str) -> tuple[SeriesRow, ...]:
        """The series of one patient."""
        return tuple(row for row in self.rows if row.patient == patient)


@dataclass(frozen=True)
class StoredCatalog:
    """Where a catalog lies. sha256: of the Parquet file."""

    uri: str
    sha256: str


def catalogue_source(store: Store, dataset_name: str, home: Path) -> tuple[Catalog, StoredCatalog]:
    """Look through the dataset's folder and commit what was found.

    Raises BadInput: no such folder, an empty one, or one without a usable series (with reasons and counts).
    """
    dataset = dataset_named(dataset_name)
    catalog = _look_through(dataset, home)
    return catalog, _commit(store, dataset, catalog)


def read_catalog(store: Store, dataset_name: str) -> Catalog:
    """The newest catalog of a dataset. Raises NotInStore, DamagedObject."""
    import pyarrow.parquet as pq

    version = str(store.get_pointer(layout.catalog_latest(dataset_name))[0]["version"])
    artefact = store.read_manifest(layout.catalog_manifest(dataset_name, version))
    with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
        path = Path(scratch) / "rows.parquet"
        store.get_file(artefact.objects[0].key, path, artefact.objects[0].sha256)
        rows = pq.read_table(path).to_pylist()
    told = artefact.manifest
    return Catalog(tuple(SeriesRow(**row) for row in rows), dict(told["left_out"]), int(told["files"]))


def _look_through(dataset: Dataset, home: Path) -> Catalog:
    from chestgan_core.dicom.reading import read_series, require_series

    folder = dicom_folder(dataset, home)
    names = dataset.pseudonyms(home)
    with Progress(f"series_catalog {dataset.name}", None, "files") as progress:
        reading = read_series([folder], progress)
    require_series(reading)
    rows = [
        SeriesRow(
            patient=names.patient(series.patient_id),
            key=names.series(series.uid),
            histology=series.histology,
            kernel=series.kernel,
            manufacturer=series.manufacturer,
            thickness_mm=series.thickness_mm,
            spacing_mm=series.spacing_mm,
            files=[locate(header.source, folder) for header in series.slices],
        )
        for series in reading.series
    ]
    rows.sort(key=lambda row: (row.patient, row.key))
    return Catalog(tuple(rows), {str(why): n for why, n in sorted(reading.left_out.items())}, reading.files)


def locate(source: "Source", folder: Path) -> str:
    """A source as text: its path below the folder, then `//` and the index of the entry for each zip on the way.

    No path has two slashes in a row. Its bytes are written as Latin-1, one character each: a file name is any bytes,
    and Parquet takes no text that is not Unicode.
    """
    path = Path(source.path).relative_to(folder).as_posix()
    return SEPARATOR.join([os.fsencode(path).decode("latin-1"), *map(str, source.entries)])


def located(text: str, folder: Path) -> "Source":
    """The inverse of `locate`."""
    from chestgan_core.dicom.files import Source

    name, *entries = text.split(SEPARATOR)
    return Source(str(folder / os.fsdecode(name.encode("latin-1"))), tuple(map(int, entries)))


def _commit(store: Store, dataset: Dataset, catalog: Catalog) -> StoredCatalog:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {field.name: [asdict(row)[field.name] for row in catalog.rows] for field in fields(SeriesRow)}
    with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
        path = Path(scratch) / "rows.parquet"
        pq.write_table(pa.table(columns), path, compression="zstd")
        sha256 = sha256_of(path)
        # Files that were left out belong to a version as well: the same series may come with fewer of them.
        told = {
            "kind": "catalog",
            "dataset": dataset.name,
            "left_out": catalog.left_out,
            "files": catalog.files,
        }
        version = sha256_of(sha256.encode() + repr(sorted(told.items())).encode())[:16]
        manifest_key = layout.catalog_manifest(dataset.name, version)
        store.commit(manifest_key, {f"{version}.parquet": path}, told)
    store.update_pointer(layout.catalog_latest(dataset.name), {"version": version})
    return StoredCatalog(store.uri(manifest_key), sha256)
