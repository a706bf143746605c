"""The raw archive of a patient: the unchanged DICOM files of the series that the catalog selects, one zip per series.

In: dataset and patient. Out: `raw/<dataset>/<patient>/series/<series>-<revision>.zip`, each with a manifest of its own,
so that an archived series is never fetched again; then `<version>.json`, which lists the current zips of the patient,
and the pointer to it. A series whose content changes gets a new object beside the old one.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.dicom.audit_report import AuditReport, empty_report
from chestgan_core.dicom.pseudonyms import pseudonyms_of
from chestgan_core.errors import BadInput, ChestganError, IdentityFound, NotInStore, SourceRefused
from chestgan_core.local.files import require_space
from chestgan_core.local.scratch import scratch_folder
from chestgan_core.sources.archive.packing import check_series, pack_series
from chestgan_core.sources.catalog.stored_catalog import read_catalog
from chestgan_core.sources.download.download_progress import DownloadProgress
from chestgan_core.sources.download.spool import clear_spool, opened_spool, spool_folder
from chestgan_core.sources.series_rows import Catalog, SeriesRow, delivery_name
from chestgan_core.sources.source import Source, open_source
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, StoredObject, content_version, name_of
from chestgan_core.store.forgotten import storing_of
from chestgan_core.store.store import Store

# A slice of 512 x 512 with its header, for series whose size the catalog does not know.
USUAL_FILE_BYTES = 540_000
REMEDY = "materialize raw_dicom again"


@dataclass(frozen=True)
class RawArchive:
    """What was committed. files: number of images in the archive; expected: by the catalog, if it knows.
    reused: nothing was fetched.
    """

    uri: str
    version: str
    series: int
    files: int
    expected: int
    bytes: int
    reused: bool
    fetched_series: int
    audit: AuditReport
    licence: str
    doi: str


@dataclass(frozen=True)
class FetchedArchive:
    """zips: one per series, in the folder. selection: `Catalog.fingerprint` of the patient when it was archived."""

    version: str
    zips: tuple[Path, ...]
    selection: str
    folder: Path


@dataclass(frozen=True)
class _Audit:
    files: int
    findings: dict[str, int]
    unexamined: dict[str, int] = field(default_factory=dict)
    pictures: int = 0


@dataclass(frozen=True)
class _SeriesManifest:
    """What is read from the manifest of a series; `_commit_series` writes more."""

    files: int
    audit: _Audit


@dataclass(frozen=True)
class _PatientManifest:
    """What is read from the manifest of a patient; `_commit_patient` writes more."""

    selection: str


@dataclass(frozen=True)
class _Series:
    """A series whose zip is on the disk (path) or in the store already (path None)."""

    row: SeriesRow
    path: Path | None
    files: int
    audit: AuditReport
    object: StoredObject | None = None


@dataclass(frozen=True)
class _Work:
    """Where the series of one patient go. keep: for their zips after they were stored; None: they are removed."""

    store: Store
    dataset: Dataset
    source: Source
    home: Path
    scratch: Path
    keep: Path | None


def archive_patient(
    store: Store,
    dataset_name: str,
    patient: str,
    home: Path,
    *,
    catalog: Catalog | None = None,
    source: Source | None = None,
    keep: Path | None = None,
    downloading: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> RawArchive:
    """Bring the selected series of one patient into the store. Those that are there already cost two requests each.

    If a series fails, the others are archived all the same; then its error is raised, and the archive of the patient
    stays as it was.

    Args:
        store: Where the archive goes.
        dataset_name: Whose catalog lists the series.
        patient: The name in the catalog.
        home: The local folder, for files on their way.
        catalog: The rows of the patient, where the caller has them; by default read from the newest catalog.
        source: That of the dataset, where the caller has opened it: a folder is walked through once only.
        keep: A folder that gets the zips that were fetched, where `fetch_archive` finds them.
        downloading: Entered while series are fetched from a server, and only then.

    Raises:
        BadInput: A patient without a selected series, a file that is gone.
        DiskFull: No room for the series.
        SourceUnreachable: The server did not answer.
        SourceRefused: Names the series.
        IdentityFound: Files of a private dataset may name a person; none of them was stored.
        PatientForgotten: The patient has withdrawn; nothing is kept.
        NotInStore: There is no catalog.
        StoreError: The store failed.
    """
    dataset = dataset_named(dataset_name)
    with storing_of(store, dataset.name, patient, keys.raw_prefix(dataset.name, patient)):
        if catalog is None:
            catalog = read_catalog(store, dataset.name, patients={patient})
        with scratch_folder(home) as scratch:
            work = _Work(store, dataset, source or open_source(dataset, home), home, scratch, keep)
            return _archive(work, patient, catalog, downloading)


def _archive(
    work: _Work, patient: str, catalog: Catalog, downloading: Callable[[], AbstractContextManager[None]]
) -> RawArchive:
    store, dataset = work.store, work.dataset
    rows = catalog.of(patient)
    if not rows:
        raise BadInput(
            patient,
            f"has no selected series in the catalog of {dataset.name}",
            "materialize series_catalog again",
        )
    archived = [_in_store(store, dataset, row) for row in rows]
    missing = [row for row, series in zip(rows, archived, strict=True) if series is None]
    _require_space(work, missing)
    ready = [series for series in archived if series is not None]
    with downloading() if missing and work.source.remote else nullcontext():
        fetched, failures = _fetch(work, missing)
    if dataset.private:
        _require_no_identity(dataset, patient, [*ready, *fetched])
        fetched = [_commit_series(work, series) for series in fetched]
    if failures:
        raise _together(failures, len(rows))
    series = sorted([*ready, *fetched], key=lambda one: one.row.key)
    artefact, version = _commit_patient(store, dataset, patient, series, catalog.fingerprint(patient))
    return RawArchive(
        uri=store.uri(artefact.manifest_key),
        version=version,
        series=len(series),
        files=sum(one.files for one in series),
        expected=sum(one.row.images or one.files for one in series),
        bytes=artefact.bytes,
        reused=not fetched,
        fetched_series=len(fetched),
        audit=_sum(series),
        licence=artefact.manifest["licence"],
        doi=artefact.manifest["doi"],
    )


def fetch_archive(store: Store, dataset_name: str, patient: str, folder: Path) -> FetchedArchive:
    """Download a patient's newest archive, verified, into `folder`. Files that are there already are kept.

    Raises NotInStore, DamagedObject, StoreError, DiskFull.
    """
    try:
        (version,) = store.read_pointer(keys.raw_latest(dataset_name, patient), "version")
    except NotInStore as error:
        raise NotInStore(
            f"raw archive of {patient}", "is not in the store", "materialize raw_dicom for this patient first"
        ) from error
    key = keys.raw_manifest(dataset_name, patient, version)
    artefact, manifest = store.read_typed(key, _PatientManifest, REMEDY, "the manifest of a raw archive")
    zips = tuple(store.fetch(artefact, folder).values())
    return FetchedArchive(version, zips, manifest.selection, folder)


def _fetch(work: _Work, rows: Sequence[SeriesRow]) -> tuple[list[_Series], list[ChestganError]]:
    """The series that were fetched, and the errors of the others. Series of a public dataset are committed at once,
    and their zips removed from the disk.
    """
    fetched: list[_Series] = []
    failures: list[ChestganError] = []
    if not rows:
        return fetched, failures
    with DownloadProgress(f"raw_dicom {rows[0].patient}", sum(row.images for row in rows)) as progress:
        for row in rows:
            try:
                if not work.source.remote:
                    fetched.append(_pack(work, row, work.scratch, progress))
                    continue
                with opened_spool(work.home, work.dataset.name, row.key, delivery_name(row)) as spool:
                    # Another process may have archived it while this one waited for the spool.
                    series = _in_store(work.store, work.dataset, row) or _pack(work, row, spool, progress)
                    clear_spool(spool)
                fetched.append(series)
            except (SourceRefused, BadInput) as error:
                failures.append(error)
    return fetched, failures


def _pack(work: _Work, row: SeriesRow, spool: Path, progress: DownloadProgress) -> _Series:
    from chestgan_core.dicom.audit import audit_zip

    target = work.scratch / f"{delivery_name(row)}.zip"
    packed = pack_series(work.source, row, target, spool, progress)
    check_series(packed, row, pseudonyms_of(work.dataset, work.home), work.source.remote)
    series = _Series(row, packed.path, packed.files, audit_zip(packed.path))
    return series if work.dataset.private else _commit_series(work, series)


def _manifest_key(dataset: Dataset, row: SeriesRow) -> str:
    return keys.raw_series_manifest(dataset.name, row.patient, delivery_name(row))


def _in_store(store: Store, dataset: Dataset, row: SeriesRow) -> _Series | None:
    """The series in this revision, if it was archived before and its zip is still there."""
    try:
        artefact, manifest = store.read_typed(
            _manifest_key(dataset, row), _SeriesManifest, REMEDY, "the manifest of a series"
        )
    except NotInStore:
        return None
    (item,) = artefact.objects
    if store.head(item.key) != item:
        return None
    return _Series(row, None, manifest.files, AuditReport.from_json(asdict(manifest.audit)), item)


def _commit_series(work: _Work, series: _Series) -> _Series:
    if series.path is None:
        return series
    store, dataset, row = work.store, work.dataset, series.row
    manifest = {
        "kind": "raw-series",
        "dataset": dataset.name,
        "patient": row.patient,
        "series": row.key,
        "source": dataset.source.kind,
        "location": row.location,
        "revision": row.revision,
        "files": series.files,
        "audit": series.audit.as_json(),
        **_terms(dataset, [row]),
    }
    artefact = store.commit(_manifest_key(dataset, row), {f"{delivery_name(row)}.zip": series.path}, manifest)
    item = artefact.objects[0]
    if work.keep is None:
        series.path.unlink()
    else:
        kept = work.keep / name_of(item, keys.raw_prefix(dataset.name, row.patient))
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(series.path, kept)
    return _Series(row, None, series.files, series.audit, item)


def _commit_patient(
    store: Store, dataset: Dataset, patient: str, series: Sequence[_Series], selection: str
) -> tuple[Artefact, str]:
    existing = [one.object for one in series if one.object is not None]
    manifest: dict[str, Any] = {
        "kind": "raw-dicom",
        "dataset": dataset.name,
        "patient": patient,
        "source": dataset.source.kind,
        "selection": selection,
        "files": sum(one.files for one in series),
        "series": [
            {
                "series": one.row.key,
                "revision": one.row.revision,
                "files": one.files,
                **_terms(dataset, [one.row]),
            }
            for one in series
        ],
        "audit": _sum(series).as_json(),
        **_terms(dataset, [one.row for one in series]),
    }
    # The version covers all of the manifest: a licence may change while the files do not.
    version = content_version(manifest, [item.sha256 for item in existing])
    artefact = store.commit(
        keys.raw_manifest(dataset.name, patient, version), {}, manifest, existing=existing
    )
    store.update_pointer(keys.raw_latest(dataset.name, patient), {"version": version})
    return artefact, version


def _terms(dataset: Dataset, rows: Iterable[SeriesRow]) -> dict[str, str]:
    """Licence, DOI and citation. Licence and DOI are those of the series if known, else those of the dataset."""
    rows = list(rows)
    return {
        "licence": "; ".join(sorted({row.licence or dataset.licence for row in rows})),
        "doi": "; ".join(sorted({row.doi or dataset.doi for row in rows})),
        "citation": dataset.citation,
    }


def _sum(series: Iterable[_Series]) -> AuditReport:
    return sum((one.audit for one in series), empty_report())


def _require_space(work: _Work, rows: Sequence[SeriesRow]) -> None:
    """Room for one series at a time in the spool and, as a zip, in the scratch folder; for all zips if they stay there
    until the last one is known to name nobody, or are kept.
    """
    sizes: list[int] = [row.bytes or row.images * USUAL_FILE_BYTES for row in rows]
    if not sizes:
        return
    remedy = "set CHESTGAN_HOME to a larger disk"
    together = work.dataset.private or work.keep is not None
    needs = [(work.scratch, sum(sizes) if together else max(sizes), remedy)]
    if work.source.remote:
        needs.append((spool_folder(work.home), max(sizes), remedy))
    require_space(needs)


def _require_no_identity(dataset: Dataset, patient: str, series: Sequence[_Series]) -> None:
    audit = _sum(series)
    if stopping := audit.blocking(dataset.accepted_findings):
        found = ", ".join(f"{finding} in {audit.findings[finding]}" for finding in stopping)
        raise IdentityFound(
            f"patient {patient}",
            f"some of {audit.files} files may still name a person ({found}); none of them was stored",
            "write cleaned files with chestgan deidentify IN OUT, name that folder and materialize series_catalog "
            f"again, or let its owner accept the findings (accepted_findings of {dataset.name})",
        )


def _together(failures: Sequence[ChestganError], series: int) -> ChestganError:
    """The first error; if the patient has several series, it says how many failed."""
    first = failures[0]
    if series == 1:
        return first
    cause = f"{first.cause} ({len(failures)} of {series} series of the patient failed, the others are in the store)"
    return type(first)(first.what, cause, first.remedy)
