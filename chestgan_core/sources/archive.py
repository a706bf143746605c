"""The raw archive of a patient: the DICOM files of the catalog, byte for byte, one zip per series.

In: dataset and patient. Out: `raw/<dataset>/<patient>/<series>-<content>.zip` and `<version>.json`, the manifest of
the series that the patient has now. A series whose files change gets a new object beside the old one.
"""

import hashlib
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from chestgan_core import layout
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.progress import Progress
from chestgan_core.sources.catalog import SeriesRow, located, read_catalog
from chestgan_core.sources.datasets import dataset_named, dicom_folder
from chestgan_core.store import Store

EARLIEST = (1980, 1, 1, 0, 0, 0)  # the zip epoch: a clock would make the bytes differ


@dataclass(frozen=True)
class RawArchive:
    """What was committed. files: in the archive; expected: in the catalog. reused: it was there already."""

    uri: str
    version: str
    series: int
    files: int
    expected: int
    bytes: int
    reused: bool


@dataclass(frozen=True)
class FetchedArchive:
    """zips: one file a series."""

    version: str
    zips: tuple[Path, ...]


def archive_patient(store: Store, dataset_name: str, patient: str, home: Path) -> RawArchive:
    """Copy the files of one patient from the dataset's folder into the store. Unchanged files cost a read only.

    Raises BadInput: a patient that is not in the catalog, a file that has gone since the catalog was made.
    """
    dataset = dataset_named(dataset_name)
    rows = read_catalog(store, dataset.name).of(patient)
    if not rows:
        raise BadInput(
            patient, f"is not in the catalog of {dataset.name}", "materialize series_catalog again"
        )
    folder = dicom_folder(dataset, home)
    expected = sum(len(row.files) for row in rows)
    with (
        tempfile.TemporaryDirectory(prefix="chestgan-") as scratch,
        Progress(f"raw_dicom {patient}", expected, "files") as progress,
    ):
        zips: dict[str, Path] = {}
        for number, row in enumerate(rows):
            path = Path(scratch) / f"{number}.zip"
            content = _zip_series(row, folder, path, progress)
            zips[f"{row.key}-{content[:12]}.zip"] = path
        # Counted in what goes to the store, not in what was meant to.
        archived = sum(len(_names(path)) for path in zips.values())
        version = hashlib.sha256("\n".join(sorted(zips)).encode()).hexdigest()[:16]
        manifest_key = layout.raw_manifest(dataset.name, patient, version)
        reused = store.head(manifest_key) is not None
        artefact = store.commit(
            manifest_key,
            zips,
            {"kind": "raw-dicom", "dataset": dataset.name, "patient": patient, "files": expected},
        )
    store.update_pointer(layout.raw_latest(dataset.name, patient), {"version": version})
    return RawArchive(store.uri(manifest_key), version, len(rows), archived, expected, artefact.bytes, reused)


def fetch_archive(store: Store, dataset_name: str, patient: str, folder: Path) -> FetchedArchive:
    """A patient's newest archive, verified, in `folder`. Raises NotInStore, DamagedObject."""
    try:
        version = str(store.get_pointer(layout.raw_latest(dataset_name, patient))[0]["version"])
    except NotInStore as error:
        raise NotInStore(
            f"raw archive of {patient}", "is not in the store", "materialize raw_dicom for this patient first"
        ) from error
    artefact = store.read_manifest(layout.raw_manifest(dataset_name, patient, version))
    return FetchedArchive(version, tuple(store.fetch(artefact, folder).values()))


def _zip_series(row: SeriesRow, folder: Path, path: Path, progress: Progress) -> str:
    """Write the zip of one series, smallest position first; returns a sha256 over its files' bytes."""
    from chestgan_core.dicom.files import READ_ERRORS, Archives

    content = hashlib.sha256()
    with Archives() as archives, zipfile.ZipFile(path, "w") as archive:
        for number, file in enumerate(row.files):
            try:
                with archives.open(located(file, folder)) as stream:
                    content.update(_copy(stream, archive, f"{number:05d}.dcm"))
            except READ_ERRORS as error:
                raise BadInput(
                    f"series {row.key} of {row.patient}",
                    f"file {number + 1} of {len(row.files)} cannot be read any more",
                    "materialize series_catalog again",
                ) from error
            progress.step()
    return content.hexdigest()


def _names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def _copy(stream: IO[bytes], archive: zipfile.ZipFile, name: str) -> bytes:
    """One entry; returns the digest of its bytes."""
    digest = hashlib.sha256()
    # Stored, not deflated: the bytes must not depend on the version of zlib, and reading is three times as fast.
    with archive.open(zipfile.ZipInfo(name, date_time=EARLIEST), "w") as out:
        while block := stream.read(1 << 20):
            digest.update(block)
            out.write(block)
    return digest.digest()
