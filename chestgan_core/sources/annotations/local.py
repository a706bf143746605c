"""Annotations that are on this machine: files among those of the source or in a folder of their own, and the truth of
generated patients.

In: a dataset. Out: by the place of its entries in the dataset what each gave, and what the manifest says of it.
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.config.annotation_config import (
    FoundFiles,
    PhantomTumours,
    StructuredReports,
    VocFiles,
)
from chestgan_core.config.dataset import Dataset
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import BadInput
from chestgan_core.local.environment import path_from_environment
from chestgan_core.local.progress import Progress
from chestgan_core.sources.annotations.boxes import Found
from chestgan_core.sources.annotations.phantoms import phantom_boxes
from chestgan_core.sources.annotations.voc import read_voc_files
from chestgan_core.sources.folder.source import FolderConfig
from chestgan_core.sources.phantom.source import PhantomConfig

if TYPE_CHECKING:
    from chestgan_core.sources.annotations.files import FileKind
    from chestgan_core.sources.annotations.places import Places

_Local = dict[int, tuple[Found, dict[str, Any]]]


def local_annotations(dataset: Dataset, patient_of: Callable[[str], str], pseudonyms: Pseudonyms) -> _Local:
    """What the entries of a dataset give that need no network; those whose files are not here are left out.

    patient_of: name of a folder -> patient of the catalog. Raises BadInput: an entry that the source does not allow.
    """
    gathered: _Local = {}
    by_folder: dict[Path, dict[int, FileKind]] = {}
    for place, entry in enumerate(dataset.annotations):
        if isinstance(entry, PhantomTumours):
            found = _of_phantoms(dataset)
            gathered[place] = found, {"kind": "phantom", "boxes": len(found.boxes)}
        elif isinstance(entry, StructuredReports) and entry.analysis:
            continue  # fetched (gather.py)
        elif isinstance(entry, VocFiles) and not isinstance(dataset.source, FolderConfig):
            if os.environ.get(entry.path_variable):
                found = _voc_boxes(dataset, entry, patient_of, pseudonyms)
                gathered[place] = found, {"kind": "voc", "boxes": len(found.boxes)}
        else:
            by_folder.setdefault(_folder_of(dataset, entry), {})[place] = entry
    places = cache(lambda: _places(dataset, pseudonyms))
    for folder, entries in by_folder.items():
        gathered |= _of_files(dataset, folder, entries, places, patient_of, pseudonyms)
    return gathered


def _of_phantoms(dataset: Dataset) -> Found:
    if not isinstance(dataset.source, PhantomConfig):
        raise BadInput(
            dataset.name,
            "has annotations of kind phantom, but its source is not of kind phantom",
            "remove them: only of generated patients is the tumour known",
        )
    label = f"tumour_annotations {dataset.name}"
    with Progress(label, dataset.source.patients, "patients") as progress:
        return phantom_boxes(dataset.source, progress)


def _voc_boxes(
    dataset: Dataset, entry: VocFiles, patient_of: Callable[[str], str], pseudonyms: Pseudonyms
) -> Found:
    path = path_from_environment(entry.path_variable, "the folder or zip of the PASCAL VOC files")
    with Progress(f"tumour_annotations {dataset.name}", None, "files") as progress:
        return read_voc_files(path, patient_of, progress).renamed(pseudonyms.series, pseudonyms.sop)


def _folder_of(dataset: Dataset, entry: FoundFiles) -> Path:
    """Where the files of an entry lie."""
    if not isinstance(dataset.source, FolderConfig):
        raise BadInput(
            dataset.name,
            f"has annotations of kind {getattr(entry, 'kind', '')}, which need the DICOM files of a source of kind "
            "folder: contours and masks are placed by the geometry of the slices",
            "fetch the collection into a folder, and make that the source",
        )
    if not os.environ.get(entry.path_variable):
        return dataset.source.folder()
    return path_from_environment(entry.path_variable, "the folder or zip of the annotation files")


def _places(dataset: Dataset, pseudonyms: Pseudonyms) -> "Places":
    from chestgan_core.dicom.file_walk import Archives
    from chestgan_core.dicom.series import read_series
    from chestgan_core.sources.annotations.places import places_of

    if not isinstance(dataset.source, FolderConfig):
        raise TypeError(dataset.source)
    with Progress(f"tumour_annotations {dataset.name}", None, "slices") as progress:
        reading = read_series([dataset.source.folder()], progress, dataset.synthetic)
    with Archives() as archives:
        return places_of(reading.series, archives, pseudonyms)


def _of_files(
    dataset: Dataset,
    folder: Path,
    entries: "dict[int, FileKind]",
    places: "Callable[[], Places]",
    patient_of: Callable[[str], str],
    pseudonyms: Pseudonyms,
) -> _Local:
    from chestgan_core.sources.annotations.files import AnnotationReader

    kinds: dict[str, FileKind] = {}
    for entry in entries.values():
        if kinds.setdefault(entry.kind, entry) is not entry:
            cause = f"names annotations of kind {entry.kind} in one folder twice"
            raise BadInput(dataset.name, cause, "join them: one entry may have several patterns")
    reader = AnnotationReader(kinds, places, patient_of, pseudonyms, dataset.synthetic)
    with Progress(f"tumour_annotations {dataset.name}", None, "files") as progress:
        counts = reader.read_below(folder, progress)
    return {
        place: (
            counts.found[entry.kind],
            {
                "kind": entry.kind,
                "files": counts.files[entry.kind],
                "boxes": len(counts.found[entry.kind].boxes),
            },
        )
        for place, entry in entries.items()
    }
