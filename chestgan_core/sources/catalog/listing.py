"""The series of a dataset as its source lists them now, each with its fate. Nothing is written.

In: a dataset, or a dataset's rules and a file or folder that somebody names. Out: Catalog.
"""

from dataclasses import replace
from pathlib import Path
from typing import assert_never

from chestgan_core.config.dataset import (
    Dataset,
    FolderSource,
    IdcSource,
    ImageSource,
    NbiaSource,
    PhantomSource,
    dataset_named,
)
from chestgan_core.dicom.pseudonyms import pseudonyms_of
from chestgan_core.errors import BadInput
from chestgan_core.sources.catalog.series_rows import Catalog, SeriesRow
from chestgan_core.sources.catalog.series_selection import decide
from chestgan_core.sources.folder.folder_series import folder_series
from chestgan_core.sources.folder.local_folders import dicom_folder
from chestgan_core.sources.idc.index import collection_id, idc_series
from chestgan_core.sources.nbia.metadata_csv import is_nbia_csv, nbia_csv_series
from chestgan_core.sources.nbia.series_list import nbia_series

# What `chestgan catalog` calls a route, and the dataset that takes it.
ROUTES = {"idc": "lung_pet_ct_dx", "nbia": "lung_pet_ct_dx_nbia"}


def list_series(dataset: Dataset, home: Path) -> Catalog:
    """Every series of a dataset.

    Raises BadInput (a folder or index that is not there or unusable, no series, pictures), NotAvailable (the index is
    not installed), SourceUnreachable and SourceRefused (NBIA).
    """
    match dataset.source:
        case PhantomSource() | FolderSource():
            return list_folder(dataset, dicom_folder(dataset, home), home)
        case IdcSource():
            rows = idc_series(dataset.source.collection, pseudonyms_of(dataset, home), dataset.source.index)
        case NbiaSource():
            rows = _nbia(dataset, dataset.source, home)
        case ImageSource():
            raise has_pictures(dataset.name)
        case _:
            assert_never(dataset.source)
    return _decided(dataset, Catalog(tuple(rows), {}, 0))


def list_named(source: str, dataset_name: str | None, home: Path) -> tuple[Dataset, Catalog]:
    """What somebody names on the command line, with the rules of a dataset, and that dataset.

    source: `idc`, `nbia`, a folder of DICOM files, an index of the Imaging Data Commons (CSV, Parquet) or a
    metadata.csv. dataset_name: by default the one that fits the source. Raises what `list_series` raises, and BadInput
    for a dataset that does not fit.
    """
    path = Path(source).expanduser()
    if source in ROUTES:
        dataset = dataset_named(dataset_name or ROUTES[source])
        if dataset.source.kind != source:
            raise BadInput(dataset.name, f"does not come from {source}", "choose another --dataset")
        return dataset, list_series(dataset, home)
    if path.is_dir():
        dataset = dataset_named(dataset_name or "folder")
        return dataset, list_folder(dataset, path, home)
    if not path.is_file():
        raise BadInput(path, "there is no such file or folder", f"name one, or {' or '.join(ROUTES)}")
    dataset = dataset_named(dataset_name or ROUTES["nbia" if is_nbia_csv(path) else "idc"])
    return dataset, list_file(dataset, path, home)


def list_file(dataset: Dataset, path: Path, home: Path) -> Catalog:
    """The series of a dataset as another index or metadata.csv lists them than the one that it names.

    Raises BadInput: neither kind of file, or a dataset of no collection.
    """
    source = dataset.source
    if not isinstance(source, IdcSource | NbiaSource):
        raise BadInput(
            dataset.name, "is no collection of the Imaging Data Commons or NBIA", "choose another --dataset"
        )
    found: IdcSource | NbiaSource
    if is_nbia_csv(path):
        found = NbiaSource(kind="nbia", collection=source.collection, manifest=path)
    else:
        found = IdcSource(kind="idc", collection=collection_id(source.collection), index=path)
    return list_series(dataset.model_copy(update={"source": found}), home)


def list_folder(dataset: Dataset, folder: Path, home: Path) -> Catalog:
    """The series of the DICOM files below a folder, with the dataset's rules. Raises BadInput."""
    if not dataset.has_hounsfield:
        raise has_pictures(dataset.name)
    label = f"series_catalog {dataset.name}"
    names = pseudonyms_of(dataset, home)
    generated = dataset.source.kind == "phantom"
    return _decided(dataset, folder_series(folder, names, label, dataset.licence, dataset.doi, generated))


def has_pictures(name: str) -> BadInput:
    """What to say of a dataset that has no series."""
    return BadInput(name, "consists of pictures, not of DICOM series", "materialize raw_images instead")


def _nbia(dataset: Dataset, source: NbiaSource, home: Path) -> list[SeriesRow]:
    names = pseudonyms_of(dataset, home)
    if source.manifest is not None:
        manifest = source.manifest.expanduser()
        return nbia_csv_series(manifest, source.collection, names, dataset.doi, dataset.licence)
    from chestgan_core.sources.nbia.client import NbiaClient

    listed = NbiaClient(source.endpoint).series(source.collection)
    return nbia_series(source.collection, listed, names, dataset.doi)


def _decided(dataset: Dataset, found: Catalog) -> Catalog:
    rows = decide(found.rows, dataset.selection)
    if dataset.private:
        # After the rules: a description may name a person, and the catalog is read by many.
        rows = tuple(replace(row, description="", study_description="") for row in rows)
    return replace(found, rows=rows)
