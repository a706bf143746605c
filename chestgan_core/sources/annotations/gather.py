"""The tumour boxes of a dataset, from all origins that it names, in the store.

In: the catalog of the dataset; PASCAL VOC files, if the variable that names them is set; series of structured reports,
fetched from the Imaging Data Commons and kept in the store, so that only new ones are fetched the next time. Out:
`annotations/<dataset>/<version>.parquet`, its manifest, and the pointer to the newest version. Boxes of slices that are
not archived are kept: only the training set knows which slices there are, and counts them.
"""

import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.config.dataset import Dataset, StructuredReports, VocFiles, dataset_named
from chestgan_core.dicom.patient_ids import normal_patient_id
from chestgan_core.dicom.pseudonyms import pseudonyms_of
from chestgan_core.errors import BadInput, NotInStore, PatientForgotten, SourceRefused, SourceUnreachable
from chestgan_core.local.environment import path_from_environment
from chestgan_core.local.progress import Progress
from chestgan_core.sources.annotations.boxes import Annotations, Defect, TumourBox
from chestgan_core.sources.annotations.structured_reports import read_report
from chestgan_core.sources.annotations.voc import read_voc_files
from chestgan_core.sources.catalog.stored_catalog import read_catalog
from chestgan_core.sources.idc.source import IdcConfig
from chestgan_core.sources.series_rows import FORGOTTEN, Catalog, SeriesRow, delivery_name
from chestgan_core.store import keys
from chestgan_core.store.artefacts import content_version, sha256_of
from chestgan_core.store.forgotten import forgotten_patients, remove_artefact
from chestgan_core.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

PARALLEL = 16  # a report has some 20 KB, so most of the time of a request is waiting

_Found = tuple[list[TumourBox], Counter[Defect]]


@dataclass(frozen=True)
class _Manifest:
    """What is read from a committed manifest; `_commit` writes more."""

    defects: dict[str, int]


@dataclass(frozen=True)
class StoredAnnotations:
    """Annotations in the store. sha256: of the Parquet file."""

    uri: str
    sha256: str
    version: str
    annotations: Annotations


def gather_annotations(store: Store, dataset_name: str, home: Path) -> StoredAnnotations:
    """Read all annotations of a dataset and commit them; the same boxes and defects give the same version.

    Raises BadInput (the dataset names no annotations, or none of them is here), NotInStore (no catalog),
    SourceUnreachable (only if there are no other boxes), StoreError. Series of reports that the source refuses are
    counted (`report-refused`), and so are those of a source that did not answer (`report-unreachable`).
    """
    dataset = dataset_named(dataset_name)
    catalog = read_catalog(store, dataset.name)
    forgotten = forgotten_patients(store, dataset.name)
    gathered: dict[int, list[TumourBox]] = {}
    defects: Counter[Defect] = Counter()
    sources: list[dict[str, Any]] = []
    # Local files first: they must be used even if a source does not answer.
    for place, entry in sorted(
        enumerate(dataset.annotations), key=lambda item: isinstance(item[1], StructuredReports)
    ):
        match entry:
            case VocFiles() if os.environ.get(entry.path_variable):
                found = _voc_boxes(dataset, entry, catalog, forgotten, home)
                sources.append({"kind": "voc", "boxes": len(found[0])})
            case StructuredReports():
                rows = [
                    row for row in catalog.rows if row.modality == "SR" and row.analysis == entry.analysis
                ]
                found = _report_boxes(store, dataset, rows, alone=not any(gathered.values()))
                counts = {"series": len(rows), "boxes": len(found[0])}
                terms = {"licences": _values(rows, "licence"), "dois": _values(rows, "doi")}
                sources.append({"kind": "sr", "analysis": entry.analysis, **counts, **terms})
            case _:
                continue
        gathered[place] = found[0]
        defects += found[1]
    if not sources:
        raise _nothing_named(dataset)
    pseudonyms = pseudonyms_of(dataset, home)
    # In the order of the dataset: if several origins have the same box, the first is kept.
    boxes = [
        replace(box, sop_uid=pseudonyms.sop(box.sop_uid))
        for place in sorted(gathered)
        for box in gathered[place]
    ]
    found_of = [box for box in boxes if box.patient not in forgotten]
    defects[Defect.FORGOTTEN] = len(boxes) - len(found_of)
    stored = _commit(store, dataset, _merged(found_of, defects, catalog), sources)
    if forgotten_patients(store, dataset.name) != forgotten:
        remove_artefact(store, keys.annotations_manifest(dataset.name, stored.version))
        remedy = "materialize tumour_annotations again"
        raise PatientForgotten(dataset.name, "a patient withdrew while its boxes were gathered", remedy)
    return stored


def read_annotations(store: Store, dataset_name: str) -> Annotations | None:
    """The newest boxes of a dataset, None if none were ever gathered. Raises DamagedObject, StoreError."""
    from chestgan_core.local.parquet import read_parquet

    try:
        (version,) = store.read_pointer(keys.annotations_latest(dataset_name), "version")
    except NotInStore:
        return None
    artefact, manifest = store.read_typed(
        keys.annotations_manifest(dataset_name, version),
        _Manifest,
        "materialize tumour_annotations again",
        "the manifest of tumour annotations",
    )
    data = store.read(artefact, f"{version}.parquet")
    where = store.uri(artefact.manifest_key)
    rows = read_parquet(data, where, "materialize tumour_annotations again").to_pylist()
    return Annotations(tuple(TumourBox(**row) for row in rows), manifest.defects)


def _voc_boxes(
    dataset: Dataset, entry: VocFiles, catalog: Catalog, forgotten: set[str], home: Path
) -> _Found:
    path = path_from_environment(entry.path_variable, "the folder or zip of the PASCAL VOC files")
    with Progress(f"tumour_annotations {dataset.name}", None, "files") as progress:
        return read_voc_files(path, _patient_of(dataset, catalog, forgotten, home), progress)


def _patient_of(dataset: Dataset, catalog: Catalog, forgotten: set[str], home: Path) -> Callable[[str], str]:
    """Folder name -> patient of the catalog, or one who has withdrawn. In Lung-PET-CT-Dx it is the part after the last
    dash: `A0001`.
    """
    patients = {row.patient for row in catalog.rows if row.status != FORGOTTEN} | forgotten
    if dataset.private:
        pseudonyms = pseudonyms_of(dataset, home)
        return lambda folder: patient if (patient := pseudonyms.patient(folder)) in patients else ""
    ends = Counter(patient.rpartition("-")[2] for patient in patients)
    by_end = {patient.rpartition("-")[2]: patient for patient in patients}

    def patient_of(folder: str) -> str:
        folder = normal_patient_id(folder)
        return folder if folder in patients else by_end[folder] if ends[folder] == 1 else ""

    return patient_of


def _report_boxes(store: Store, dataset: Dataset, rows: Sequence[SeriesRow], alone: bool) -> _Found:
    """alone: there are no other boxes, so a source that does not answer is an error, not a defect."""
    if not isinstance(dataset.source, IdcConfig):
        raise BadInput(
            dataset.name,
            "has structured reports, but its source is not of kind idc",
            "name PASCAL VOC files instead",
        )
    endpoint = dataset.source.endpoint
    boxes: list[TumourBox] = []
    defects: Counter[Defect] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="chestgan-") as scratch,
        Progress(f"tumour_annotations {dataset.name}", len(rows), "reports") as progress,
        ThreadPoolExecutor(PARALLEL) as pool,
    ):
        kept = {item.key for item in store.list(keys.annotation_reports_prefix(dataset.name))}
        running = [
            pool.submit(_read_series, store, dataset, row, endpoint, kept, Path(scratch) / str(number))
            for number, row in enumerate(rows)
        ]
        try:
            for number, job in enumerate(running):
                try:
                    found, wrong = job.result()
                except SourceUnreachable as error:
                    if alone:
                        raise
                    log.warning(f"{error}; continuing without {len(rows) - number} reports")
                    defects[Defect.REPORT_UNREACHABLE] += len(rows) - number
                    break
                boxes += found
                defects += wrong
                progress.step()
        finally:
            # Fetched reports are in the store already; the others are not waited for.
            pool.shutdown(wait=False, cancel_futures=True)
    return boxes, defects


def _read_series(
    store: Store, dataset: Dataset, row: SeriesRow, endpoint: str, kept: set[str], folder: Path
) -> _Found:
    from chestgan_core.sources.idc.download import fetch_series

    delivery = delivery_name(row)
    manifest_key = keys.annotation_report_manifest(dataset.name, delivery)
    if manifest_key in kept:
        paths = list(store.fetch(manifest_key, folder).values())
    else:
        try:
            paths = fetch_series(row, folder, endpoint)
        except SourceRefused:
            return [], Counter({Defect.REPORT_REFUSED: 1})
        store.commit(
            manifest_key,
            {f"{delivery}-{number}.dcm": path for number, path in enumerate(paths)},
            {
                "kind": "structured-reports",
                "dataset": dataset.name,
                "series": row.key,
                "patient": row.patient,
                "revision": row.revision,
                "analysis": row.analysis,
                "licence": row.licence,
                "doi": row.doi,
            },
        )
    boxes: list[TumourBox] = []
    defects: Counter[Defect] = Counter()
    for path in paths:
        found, wrong = read_report(path, row.patient, dataset.synthetic)
        boxes += found
        defects += wrong
        path.unlink()
    return boxes, defects


def _merged(boxes: Iterable[TumourBox], defects: Counter[Defect], catalog: Catalog) -> Annotations:
    """Each box on each slice once: the first, in the order of the annotations of the dataset."""
    histology = {row.patient: row.histology for row in catalog.rows}
    merged: dict[tuple[str, tuple[int, int, int, int]], TumourBox] = {}
    for box in boxes:
        if merged.setdefault((box.sop_uid, box.edges), box) is not box:
            defects[Defect.REPEATED] += 1
    for box in merged.values():
        letter = histology.get(box.patient, "")
        defects[Defect.LABEL_CONFLICT] += bool(box.label and letter and box.label != letter)
    ordered = sorted(merged.values(), key=lambda box: (box.patient, box.sop_uid, box.edges))
    return Annotations(tuple(ordered), {str(defect): defects[defect] for defect in Defect if defects[defect]})


def _commit(
    store: Store, dataset: Dataset, annotations: Annotations, sources: list[dict[str, Any]]
) -> StoredAnnotations:
    from chestgan_core.local.parquet import write_parquet

    boxes = annotations.boxes
    manifest = {
        "kind": "tumour-annotations",
        "dataset": dataset.name,
        "sources": sources,
        "boxes": len(boxes),
        "slices": len({box.sop_uid for box in boxes}),
        "patients": len({box.patient for box in boxes if box.patient}),
        "labels": dict(sorted(Counter(box.label for box in boxes).items())),
        "defects": dict(annotations.defects),
    }
    with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
        path = Path(scratch) / "boxes.parquet"
        path.write_bytes(write_parquet(table_of(boxes), compression="zstd"))
        sha256 = sha256_of(path)
        version = content_version(sha256, manifest)
        manifest_key = keys.annotations_manifest(dataset.name, version)
        store.commit(manifest_key, {f"{version}.parquet": path}, manifest)
    store.update_pointer(keys.annotations_latest(dataset.name), {"version": version})
    return StoredAnnotations(store.uri(manifest_key), sha256, version, annotations)


def table_of(boxes: Sequence[TumourBox]) -> "pa.Table":
    """The rows of the Parquet file."""
    import pyarrow as pa

    # Not inferred: a table without rows has no types.
    kinds = {
        name: pa.int32() if kind is int else pa.string() for name, kind in TumourBox.__annotations__.items()
    }
    return pa.Table.from_pylist([asdict(box) for box in boxes], schema=pa.schema(kinds))


def _values(rows: Sequence[SeriesRow], field: str) -> list[str]:
    return sorted({value for row in rows if (value := getattr(row, field))})


def _nothing_named(dataset: Dataset) -> BadInput:
    variables = [entry.path_variable for entry in dataset.annotations if isinstance(entry, VocFiles)]
    if not variables:
        return BadInput(dataset.name, "names no annotations", "add them to the dataset, or skip this asset")
    return BadInput(
        dataset.name,
        f"its annotations are not here: {', '.join(variables)} is not set",
        "set it to the folder or zip of the PASCAL VOC files",
    )
