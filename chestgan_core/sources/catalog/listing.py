"""The series of a dataset as its source lists them now, each with its status. Nothing is written.

In: a dataset, or a dataset's rules and a file or folder that somebody names. Out: Catalog.
"""

from dataclasses import replace
from pathlib import Path

from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.errors import BadInput
from chestgan_core.sources.catalog.series_selection import select_series
from chestgan_core.sources.folder.source import FolderSource
from chestgan_core.sources.idc.source import IdcConfig
from chestgan_core.sources.nbia.metadata_csv import is_nbia_csv
from chestgan_core.sources.nbia.source import NbiaConfig
from chestgan_core.sources.series_rows import Catalog, collection_id
from chestgan_core.sources.source import open_source

# What `chestgan catalog` calls a route, and the dataset that takes it.
ROUTES = {"idc": "lung_pet_ct_dx", "nbia": "lung_pet_ct_dx_nbia"}


def list_series(dataset: Dataset, home: Path) -> Catalog:
    """Every series of a dataset.

    Raises BadInput (a folder or index that is not there or unusable, no series, pictures), NotAvailable (the index is
    not installed), SourceUnreachable and SourceRefused (NBIA).
    """
    return _selected(dataset, open_source(dataset, home).list_series())


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
        if dataset.source.pictures:
            return dataset, list_series(dataset, home)  # which says that it has no series
        return dataset, _selected(dataset, FolderSource(dataset, home, path).list_series())
    if not path.is_file():
        raise BadInput(path, "there is no such file or folder", f"name one, or {' or '.join(ROUTES)}")
    dataset = dataset_named(dataset_name or ROUTES["nbia" if is_nbia_csv(path) else "idc"])
    return dataset, list_file(dataset, path, home)


def list_file(dataset: Dataset, path: Path, home: Path) -> Catalog:
    """The series of a dataset as another index or metadata.csv lists them than the one that it names.

    Raises BadInput: neither kind of file, or a dataset that comes from neither collection.
    """
    config = dataset.source
    if not isinstance(config, IdcConfig | NbiaConfig):
        cause = "is not a collection of the Imaging Data Commons or NBIA"
        raise BadInput(dataset.name, cause, "choose another --dataset")
    named: IdcConfig | NbiaConfig
    if is_nbia_csv(path):
        named = NbiaConfig(kind="nbia", collection=config.collection, manifest=path)
    else:
        named = IdcConfig(kind="idc", collection=collection_id(config.collection), index=path)
    return list_series(dataset.model_copy(update={"source": named}), home)


def _selected(dataset: Dataset, catalog: Catalog) -> Catalog:
    rows = select_series(catalog.rows, dataset.selection)
    if dataset.private:
        # After the rules: a description may name a person, and the catalog is read by many.
        rows = tuple(replace(row, description="", study_description="") for row in rows)
    return replace(catalog, rows=rows)
