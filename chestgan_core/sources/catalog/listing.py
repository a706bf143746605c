"""The series of a dataset as its source lists them now, each with its status. Nothing is written.

In: a dataset, or the rules of a dataset and a file or folder. Out: Catalog.
"""

from dataclasses import replace
from pathlib import Path

from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.config.source_config import source_kinds
from chestgan_core.errors import BadInput, nearest
from chestgan_core.sources.catalog.kernels import kernel_family
from chestgan_core.sources.catalog.manufacturers import manufacturer_family
from chestgan_core.sources.catalog.series_selection import select_series
from chestgan_core.sources.folder.source import FolderSource
from chestgan_core.sources.idc.source import IdcConfig
from chestgan_core.sources.images.source import no_series
from chestgan_core.sources.nbia.metadata_csv import is_nbia_csv
from chestgan_core.sources.nbia.source import NbiaConfig
from chestgan_core.sources.series_rows import Catalog, SeriesRow, collection_id
from chestgan_core.sources.source import open_source

# The dataset of `chestgan catalog KIND` without --dataset; for other kinds the one with the name of the kind.
DEFAULTS = {"idc": "lung_pet_ct_dx", "nbia": "lung_pet_ct_dx_nbia"}


def list_series(dataset: Dataset, home: Path) -> Catalog:
    """Every series of a dataset.

    Raises BadInput (a folder or index that is missing or cannot be used, no series, images), NotAvailable (the index is
    not installed), SourceUnreachable and SourceRefused (NBIA).
    """
    return _selected(dataset, open_source(dataset, home).list_series())


def list_named(source: str, dataset_name: str | None, home: Path) -> tuple[Dataset, Catalog]:
    """The series of what a command line names, by the selection rules of a dataset, and that dataset.

    source: the kind of a source (`idc`, `nbia`, ...), a folder of DICOM files, an index of the Imaging Data Commons
    (CSV, Parquet) or a metadata.csv. dataset_name: by default the one that fits the source. Raises what `list_series`
    raises, and BadInput for a dataset that does not fit.
    """
    path = Path(source).expanduser()
    kinds = source_kinds()
    if source in kinds:  # a folder of that name is ./idc
        dataset = dataset_named(dataset_name or DEFAULTS.get(source, source))
        if dataset.source.kind != source:
            cause = f"comes from {dataset.source.kind}, not from {source}"
            raise BadInput(dataset.name, cause, "choose another --dataset")
        return dataset, list_series(dataset, home)
    if path.is_dir():
        dataset = dataset_named(dataset_name or "folder")
        if not dataset.source.dicom:
            raise no_series(dataset.name)
        return dataset, _selected(dataset, FolderSource(lambda: path, dataset, home).list_series())
    if not path.is_file():
        raise BadInput(path, "is neither a file, a folder nor a kind of source", nearest(source, kinds))
    dataset = dataset_named(dataset_name or DEFAULTS["nbia" if is_nbia_csv(path) else "idc"])
    return dataset, list_file(dataset, path, home)


def list_file(dataset: Dataset, path: Path, home: Path) -> Catalog:
    """The series of a dataset as an index or metadata.csv lists them, in place of the one that the dataset names.

    Raises BadInput: another kind of file, or a dataset that comes from neither the Imaging Data Commons nor NBIA.
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
        # Only now, as the rules need them: what somebody typed may name a person, and many people read the catalog.
        rows = tuple(map(_without_typed_text, rows))
    return replace(catalog, rows=rows)


def _without_typed_text(row: SeriesRow) -> SeriesRow:
    """Families of closed lists for the kernel and the manufacturer, nothing for the descriptions."""
    return replace(
        row,
        description="",
        study_description="",
        kernel=kernel_family(row.kernel, row.description),
        manufacturer=manufacturer_family(row.manufacturer),
    )
