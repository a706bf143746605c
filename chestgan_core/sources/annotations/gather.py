"""The tumour boxes of a dataset, from all origins that it names, in the store.

In: the catalog of the dataset; files of this machine (local.py); series of structured reports, fetched from the Imaging
Data Commons and kept in the store, so that only new ones are fetched the next time. Out: a version of the annotations
(stored.py), and the pointer to it. Boxes of slices that are not archived are kept: only the training set knows which
slices there are, and counts them.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chestgan_core.config.annotation_config import (
    FoundFiles,
    StructuredReports,
)
from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.dicom.patient_ids import normal_patient_id
from chestgan_core.dicom.pseudonyms import Pseudonyms, pseudonyms_of
from chestgan_core.errors import BadInput, PatientForgotten
from chestgan_core.sources.annotations.boxes import Annotations, Defect, Found, TumourBox
from chestgan_core.sources.annotations.fetched_reports import report_boxes
from chestgan_core.sources.annotations.local import local_annotations
from chestgan_core.sources.annotations.stored import StoredAnnotations, commit_annotations
from chestgan_core.sources.catalog.stored_catalog import read_catalog
from chestgan_core.sources.series_rows import FORGOTTEN, Catalog, SeriesRow
from chestgan_core.store import keys
from chestgan_core.store.forgotten import forgotten_patients, remove_artefact
from chestgan_core.store.store import Store


def gather_annotations(store: Store, dataset_name: str, home: Path) -> StoredAnnotations:
    """Read all annotations of a dataset and commit them; the same boxes and defects give the same version.

    Raises BadInput (the dataset names no annotations, or none of them is here), NotInStore (no catalog),
    SourceUnreachable (only if there are no other boxes), StoreError.
    """
    dataset = dataset_named(dataset_name)
    catalog = read_catalog(store, dataset.name)
    forgotten = forgotten_patients(store, dataset.name)
    pseudonyms = pseudonyms_of(dataset, home)
    gathered: dict[int, Found] = {}
    sources: list[dict[str, Any]] = []
    patient_of = _patient_of(catalog, pseudonyms, forgotten)
    # Local files first: they must be used even if a source does not answer.
    for place, (found, said) in local_annotations(dataset, patient_of, pseudonyms).items():
        gathered[place] = found
        sources.append(said)
    for place, entry in enumerate(dataset.annotations):
        if isinstance(entry, StructuredReports) and entry.analysis:
            rows = [row for row in catalog.rows if row.modality == "SR" and row.analysis == entry.analysis]
            alone = not any(other.boxes for other in gathered.values())
            fetched = report_boxes(store, dataset, rows, alone)
            counts = {"series": len(rows), "boxes": len(fetched.boxes)}
            terms = {"licences": _values(rows, "licence"), "dois": _values(rows, "doi")}
            sources.append({"kind": "sr", "analysis": entry.analysis, **counts, **terms})
            gathered[place] = fetched.renamed(pseudonyms.series, pseudonyms.sop)
    if not sources:
        raise _nothing_named(dataset)
    # In the order of the dataset: if several origins have the same box, the first is kept.
    annotations = _merged([gathered[place] for place in sorted(gathered)], catalog, forgotten)
    more = {"kind": "tumour-annotations", "dataset": dataset.name, "sources": sources}
    stored = commit_annotations(store, dataset.name, annotations, more)
    store.update_pointer(keys.annotations_latest(dataset.name), {"version": stored.version})
    if forgotten_patients(store, dataset.name) != forgotten:
        remove_artefact(store, keys.annotations_manifest(dataset.name, stored.version))
        remedy = "materialize tumour_annotations again"
        raise PatientForgotten(dataset.name, "a patient withdrew while its boxes were gathered", remedy)
    return stored


def _patient_of(catalog: Catalog, pseudonyms: Pseudonyms, forgotten: set[str]) -> Callable[[str], str]:
    """Folder name -> patient of the catalog, or one who has withdrawn. In Lung-PET-CT-Dx it is the part after the last
    dash: `A0001`.
    """
    patients = {row.patient for row in catalog.rows if row.status != FORGOTTEN} | forgotten
    if pseudonyms.secret is not None:
        return lambda folder: patient if (patient := pseudonyms.patient(folder)) in patients else ""
    ends = Counter(patient.rpartition("-")[2] for patient in patients)
    by_end = {patient.rpartition("-")[2]: patient for patient in patients}

    def patient_of(folder: str) -> str:
        folder = normal_patient_id(folder)
        return folder if folder in patients else by_end[folder] if ends[folder] == 1 else ""

    return patient_of


def _merged(gathered: Sequence[Found], catalog: Catalog, forgotten: set[str]) -> Annotations:
    """Each box on each slice once: the first, in the order of the annotations of the dataset, with the mask of any."""
    defects: Counter[Defect] = Counter()
    for found in gathered:
        defects.update(found.defects)
    boxes = [box for found in gathered for box in found.boxes]
    present = [box for box in boxes if box.patient not in forgotten]
    defects[Defect.FORGOTTEN] = len(boxes) - len(present)
    histology = {row.patient: row.histology for row in catalog.rows}
    merged: dict[tuple[str, tuple[int, int, int, int]], TumourBox] = {}
    for box in present:
        first = merged.setdefault((box.sop_uid, box.edges), box)
        if first is not box:
            defects[Defect.REPEATED] += 1
            merged[box.sop_uid, box.edges] = replace(first, mask=first.mask or box.mask)
    for box in merged.values():
        letter = histology.get(box.patient, "")
        defects[Defect.LABEL_CONFLICT] += bool(box.label and letter and box.label != letter)
    series = {uid: who for found in gathered for uid, who in found.series.items() if who not in forgotten}
    unsure = {uid: who for found in gathered for uid, who in found.unsure.items() if who not in forgotten}
    return Annotations(
        tuple(sorted(merged.values(), key=lambda box: (box.patient, box.sop_uid, box.edges))),
        {str(defect): defects[defect] for defect in Defect if defects[defect]},
        tuple(sorted(series)),
        tuple(sorted(unsure)),
        series | unsure,
    )


def _values(rows: Sequence[SeriesRow], field: str) -> list[str]:
    return sorted({value for row in rows if (value := getattr(row, field))})


def _nothing_named(dataset: Dataset) -> BadInput:
    variables = [
        one.path_variable for one in dataset.annotations if isinstance(one, FoundFiles) and one.path_variable
    ]
    if not variables:
        return BadInput(dataset.name, "names no annotations", "add them to the dataset, or skip this asset")
    return BadInput(
        dataset.name,
        f"its annotations are not here: {', '.join(dict.fromkeys(variables))} is not set",
        "set it to the folder or zip of the annotation files",
    )
