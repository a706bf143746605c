"""The catalog of a dataset: every series of its collection, which of them are fetched, and why the others are not.

In: the dataset's source and selection rules. Out: `catalog/<dataset>/<version>.parquet` with one row per series,
`<version>-patients.parquet` with one row per patient, the manifest, and the pointer to the newest version. A version is
a hash of the rows, of the rules and of the counts of files left out. Patients of a private dataset are pseudonyms, and
of patients who have withdrawn only the number of series is kept.
"""

import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.dicom.left_out import Cause, without_names
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.reasons import in_words
from chestgan_core.sources.catalog.listing import list_series
from chestgan_core.sources.images.source import no_series
from chestgan_core.sources.series_rows import FORGOTTEN, Catalog, SeriesRow
from chestgan_core.store import keys
from chestgan_core.store.artefacts import content_version, sha256_of
from chestgan_core.store.forgotten import forgotten_patients, remove_artefact
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
    listed = _for_the_store(dataset, list_series(dataset, home))
    forgotten = forgotten_patients(store, dataset.name)
    while True:
        catalog = without_patients(listed, forgotten)
        _require_selected(dataset, catalog)
        rules = rules_without(dataset.selection.model_dump(mode="json"), listed, forgotten)
        stored = commit_catalog(store, dataset.name, catalog, rules, newest=True)
        now = forgotten_patients(store, dataset.name)
        if now == forgotten or not {row.patient for row in catalog.rows} & now:
            return catalog, stored
        remove_artefact(store, keys.catalog_manifest(dataset.name, stored.version))
        forgotten = now  # somebody has withdrawn meanwhile


def without_patients(catalog: Catalog, patients: Collection[str]) -> Catalog:
    """A catalog in which the series of these patients have neither a name nor anything else; they are only counted."""
    if not patients:
        return catalog
    gone = {row.patient for row in catalog.rows if row.patient in patients or row.status == FORGOTTEN}
    numbers = {patient: number for number, patient in enumerate(sorted(gone), 1)}
    counts: Counter[str] = Counter()

    def unnamed(row: SeriesRow) -> SeriesRow:
        if row.patient not in numbers:
            return row
        name = f"{FORGOTTEN}-{numbers[row.patient]}"
        counts[name] += 1
        return SeriesRow(name, f"{name}-{counts[name]}", images=0, revision="", status=FORGOTTEN)

    def without_path(cause: Cause) -> Cause:
        """The example of a cause is the path of a file, which often has the name of its patient."""
        return replace(cause, example="") if any(one in cause.example for one in patients) else cause

    return replace(
        catalog,
        rows=tuple(sorted(map(unnamed, catalog.rows), key=lambda row: (row.patient, row.key))),
        causes=tuple(map(without_path, catalog.causes)),
        doubts=tuple(map(without_path, catalog.doubts)),
    )


def rules_without(rules: Mapping[str, Any], catalog: Catalog, patients: Collection[str]) -> dict[str, Any]:
    """Selection rules that exclude none of these patients and their series by name: nothing of them is read any more.

    catalog: lists the series, before `without_patients`.
    """
    series = {name for row in catalog.rows if row.patient in patients for name in (row.key, row.series)}
    gone = {"exclude_patients": set(patients), "exclude_series": series}
    return {
        name: [one for one in value if one not in gone[name]] if name in gone else value
        for name, value in rules.items()
    }


def _require_selected(dataset: Dataset, catalog: Catalog) -> None:
    summary = catalog.summary()
    if not catalog.selected:
        raise BadInput(
            f"{summary.all.series} series of {dataset.name}",
            f"none is selected; left out: {in_words(summary.left_out_series)}",
            "change the selection rules of the dataset",
        )


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
    store: Store, dataset_name: str, version: str | None = None, patients: Collection[str] | None = None
) -> Catalog:
    """A catalog, by default the newest. patients: only the rows of these, which is much faster.

    left_out and files are always those of the whole catalog. Raises NotInStore, DamagedObject, BadInput.
    """
    version = version or newest_catalog_version(store, dataset_name)
    artefact, manifest = store.read_typed(
        keys.catalog_manifest(dataset_name, version),
        _Manifest,
        "materialize series_catalog again",
        "the manifest of a catalog",
    )
    rows = _read(store.read(artefact, _rows_file(version)), patients)
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


def commit_catalog(
    store: Store, dataset_name: str, catalog: Catalog, rules: Mapping[str, Any], *, newest: bool
) -> StoredCatalog:
    """Commit a catalog. rules: the selection rules that it was made by, as JSON. newest: move the pointer to it."""
    with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
        rows, patients = Path(scratch) / "rows", Path(scratch) / "patients"
        _write(rows, _columns(catalog.rows))
        _write(patients, _patients(catalog))
        sha256 = sha256_of(rows)
        # The version includes the files left out: the same series may be listed with other ones.
        manifest = {
            "kind": "catalog",
            "dataset": dataset_name,
            "left_out": catalog.left_out,
            "files": catalog.files,
            "causes": [cause.as_json() for cause in catalog.causes],
            "doubts": [doubt.as_json() for doubt in catalog.doubts],
            "summary": catalog.summary().as_json(),
            "rules": rules,
        }
        version = content_version(sha256, manifest)
        manifest_key = keys.catalog_manifest(dataset_name, version)
        store.commit(manifest_key, {_rows_file(version): rows, _patients_file(version): patients}, manifest)
    if newest:
        store.update_pointer(keys.catalog_latest(dataset_name), {"version": version})
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


def _read(data: bytes, patients: Collection[str] | None = None) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    from chestgan_core.local.parquet import read_parquet

    table = read_parquet(data, "the rows of a catalog", "materialize series_catalog again")
    if patients is None:
        return table
    return table.filter(pc.is_in(table.column("patient"), pa.array(sorted(patients), pa.string())))


def _with_series(dataset_name: str) -> Dataset:
    dataset = dataset_named(dataset_name)
    if not dataset.has_hounsfield:
        raise no_series(dataset.name)
    return dataset
