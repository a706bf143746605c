"""The catalog of a dataset: every series of its collection, which of them are fetched, and why the others are not.

In: the dataset's source and selection rules. Out: `catalog/<dataset>/<version>.parquet` with one row per series,
`<version>-patients.parquet` with one row per patient, the manifest, and the pointer to the newest version. A version is
a hash of the rows, of the rules and of the counts of files left out. Patients of a private dataset are pseudonyms.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.dicom.left_out import Cause, without_names
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.reasons import in_words
from chestgan_core.sources.catalog.listing import list_series
from chestgan_core.sources.images.source import no_series
from chestgan_core.sources.series_rows import Catalog, SeriesRow
from chestgan_core.store import keys
from chestgan_core.store.artefacts import content_version, sha256_of
from chestgan_core.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class _Manifest:
    """What is read from a committed manifest; `_commit` writes more."""

    left_out: dict[str, int]
    files: int
    causes: tuple[Cause, ...]
    doubts: tuple[Cause, ...]


@dataclass(frozen=True)
class StoredCatalog:
    """A catalog in the store. sha256: of the rows."""

    uri: str
    sha256: str
    version: str


def catalog_series(store: Store, dataset_name: str, home: Path) -> tuple[Catalog, StoredCatalog]:
    """List the series of a dataset's source, select those to fetch, and commit the catalog.

    Raises what `list_series` raises, and BadInput if no series is selected (with reasons and counts).
    """
    dataset = _with_series(dataset_name)
    catalog = _for_the_store(dataset, list_series(dataset, home))
    summary = catalog.summary()
    if not catalog.selected:
        raise BadInput(
            f"{summary.all.series} series of {dataset.name}",
            f"none is selected; left out: {in_words(summary.left_out_series)}",
            "change the selection rules of the dataset",
        )
    return catalog, _commit(store, dataset, catalog)


def newest_catalog_version(store: Store, dataset_name: str) -> str:
    """The version of the newest catalog. Raises NotInStore (there is none), BadInput (a dataset of images)."""
    dataset = _with_series(dataset_name)
    try:
        return store.read_pointer(keys.catalog_latest(dataset.name), "version")[0]
    except NotInStore as error:
        raise NotInStore(
            f"catalog of {dataset.name}", "is not in the store", "materialize series_catalog first"
        ) from error


def read_catalog(
    store: Store, dataset_name: str, version: str | None = None, patient: str | None = None
) -> Catalog:
    """A catalog, by default the newest. patient: only the rows of this patient, which is much faster.

    left_out and files are always those of the whole catalog. Raises NotInStore, DamagedObject, BadInput.
    """
    version = version or newest_catalog_version(store, dataset_name)
    artefact, manifest = store.read_typed(
        keys.catalog_manifest(dataset_name, version),
        _Manifest,
        "materialize series_catalog again",
        "the manifest of a catalog",
    )
    rows = _read(store.read(artefact, _rows_file(version)), patient)
    return Catalog(
        tuple(SeriesRow(**row) for row in rows.to_pylist()),
        manifest.left_out,
        manifest.files,
        manifest.causes,
        manifest.doubts,
    )


def read_patients(store: Store, dataset_name: str, version: str) -> dict[str, tuple[str, str]]:
    """Patient -> (fingerprint of the selected series, histology), for patients with a selected series.

    Read from a small file of its own, as each tick of a sensor needs it for up to 40,000 patients. Raises NotInStore,
    DamagedObject.
    """
    artefact = store.read_manifest(keys.catalog_manifest(dataset_name, version))
    rows = _read(store.read(artefact, _patients_file(version)))
    columns = (rows[name].to_pylist() for name in ("patient", "fingerprint", "histology"))
    return {
        patient: (fingerprint, histology) for patient, fingerprint, histology in zip(*columns, strict=True)
    }


def _commit(store: Store, dataset: Dataset, catalog: Catalog) -> StoredCatalog:
    with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
        rows, patients = Path(scratch) / "rows", Path(scratch) / "patients"
        _write(rows, _columns(catalog.rows))
        _write(patients, _patients(catalog))
        sha256 = sha256_of(rows)
        # The version includes the files left out: the same series may be listed with other ones.
        manifest = {
            "kind": "catalog",
            "dataset": dataset.name,
            "left_out": catalog.left_out,
            "files": catalog.files,
            "causes": [cause.as_json() for cause in catalog.causes],
            "doubts": [doubt.as_json() for doubt in catalog.doubts],
            "summary": catalog.summary().as_json(),
            "rules": dataset.selection.model_dump(mode="json"),
        }
        version = content_version(sha256, manifest)
        manifest_key = keys.catalog_manifest(dataset.name, version)
        store.commit(manifest_key, {_rows_file(version): rows, _patients_file(version): patients}, manifest)
    store.update_pointer(keys.catalog_latest(dataset.name), {"version": version})
    return StoredCatalog(store.uri(manifest_key), sha256, version)


def _for_the_store(dataset: Dataset, catalog: Catalog) -> Catalog:
    """Without names of files where the dataset is private: folders often have names of people."""
    if not dataset.private:
        return catalog
    return replace(catalog, causes=without_names(catalog.causes), doubts=without_names(catalog.doubts))


def _rows_file(version: str) -> str:
    return f"{version}.parquet"


def _patients_file(version: str) -> str:
    return f"{version}-patients.parquet"


def _columns(rows: Sequence[SeriesRow]) -> "pa.Table":
    import pyarrow as pa

    # Not inferred: an empty list, or a table without rows, has no type.
    kinds: dict[Any, pa.DataType] = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        list[str]: pa.list_(pa.string()),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in SeriesRow.__annotations__.items()])
    return pa.table({name: [getattr(row, name) for row in rows] for name in schema.names}, schema=schema)


def _patients(catalog: Catalog) -> "pa.Table":
    import pyarrow as pa

    patients = catalog.patients
    return pa.table(
        {
            "patient": pa.array(patients, pa.string()),
            "fingerprint": pa.array(map(catalog.fingerprint, patients), pa.string()),
            "histology": pa.array((catalog.of(patient)[0].histology for patient in patients), pa.string()),
        }
    )


def _write(path: Path, table: "pa.Table") -> None:
    from chestgan_core.local.parquet import write_parquet

    path.write_bytes(write_parquet(table, compression="zstd"))


def _read(data: bytes, patient: str | None = None) -> "pa.Table":
    import pyarrow as pa

    from chestgan_core.local.parquet import read_parquet

    table = read_parquet(data, "the rows of a catalog", "materialize series_catalog again")
    if patient is None:
        return table
    return table.filter(
        pa.array([found == patient for found in table.column("patient").to_pylist()], pa.bool_())
    )


def _with_series(dataset_name: str) -> Dataset:
    dataset = dataset_named(dataset_name)
    if not dataset.has_hounsfield:
        raise no_series(dataset.name)
    return dataset
