"""What lies in the store under a patient's own name, or lists it: raw files, slices, catalogs, tumour boxes.

In: the store, a dataset, a patient. Out: traces, and the names of the patient's series and slices. Catalogs and boxes
of all versions are read, each one file; of raw files and slices only the rows of the patient's own slices.
"""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.forgetting.traces import Kind, Trace, read_json
from chestgan_core.local.parquet import read_parquet
from chestgan_core.sources.catalog.stored_catalog import (
    commit_catalog,
    read_catalog,
    rules_without,
    without_patients,
)
from chestgan_core.sources.download.spool import spool_folder
from chestgan_core.sources.series_rows import Catalog
from chestgan_core.store import keys
from chestgan_core.store.artefacts import FORGOTTEN, StoredObject
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.erasing import Versioning, hidden_below
from chestgan_core.store.forgotten import forgotten_patients
from chestgan_core.store.store import Store


@dataclass(frozen=True)
class Names:
    """What else names the patient. series: keys of all series, reports: of those that are structured reports. sop: of
    slices.
    """

    series: frozenset[str]
    reports: frozenset[str]
    sop: frozenset[str]

    def with_slices(self, sop: frozenset[str]) -> "Names":
        """And these slices."""
        return replace(self, sop=sop)


def catalogs(store: Store, dataset: str, patient: str) -> tuple[list[Trace], Names]:
    """Every version of the catalog that lists the patient, and what they call the patient's series."""
    prefix = keys.catalogs_prefix(dataset)
    listed = [item for item in store.list(prefix) if item.key != keys.catalog_latest(dataset)]
    manifests = {PurePosixPath(item.key).stem for item in listed if item.key.endswith(".json")}
    tables = [item for item in listed if item.key.endswith(".parquet")]
    of_version = {
        version: tuple(item for item in tables if _version(item) == version)
        for version in {*manifests, *map(_version, tables)}
    }

    def read(version: str) -> Catalog | None:
        try:
            return read_catalog(store, dataset, version, {patient})
        except (BadInput, DamagedObject, NotInStore, TypeError):
            return None

    with ThreadPoolExecutor(PARALLEL) as pool:
        found = dict(zip(of_version, pool.map(read, of_version), strict=True))
    traces: list[Trace] = []
    series: set[str] = set()
    reports: set[str] = set()
    for version, objects in sorted(of_version.items()):
        catalog = found[version]
        if catalog is None:
            # A tombstone with what a killed deletion left, or tables that a killed writer left.
            own = tuple(item for item in objects if _has(store, item.key, "patient", {patient}))
            if own:
                key = keys.catalog_manifest(dataset, version) if _committed(store, dataset, version) else ""
                traces.append(Trace(Kind.CATALOG, version, own, key, "catalog", note="cannot be read"))
            continue
        key = keys.catalog_manifest(dataset, version)
        examples = any(patient in cause.example for cause in (*catalog.causes, *catalog.doubts))
        rules = (read_json(store, key) or {}).get("rules", {})
        if catalog.rows or examples or patient in rules.get("exclude_patients", ()):
            traces.append(Trace(Kind.CATALOG, version, objects, key, "catalog"))
        series.update(row.key for row in catalog.rows)
        reports.update(row.key for row in catalog.rows if row.modality == "SR")
    return traces, Names(frozenset(series), frozenset(reports), frozenset())


def redact_catalog(store: Store, dataset: str, version: str) -> str:
    """Commit a copy of a catalog without those who have withdrawn; returns its version, "" where none can be made.

    Where the pointer names the catalog, it names the copy afterwards.
    """
    try:
        old = read_catalog(store, dataset, version)
        rules = store.read_manifest(keys.catalog_manifest(dataset, version)).manifest["rules"]
    except (BadInput, DamagedObject, NotInStore, KeyError, TypeError):
        return ""
    forgotten = forgotten_patients(store, dataset)
    copy, rules = without_patients(old, forgotten), rules_without(rules, old, forgotten)
    new = commit_catalog(store, dataset, copy, rules, newest=False).version
    store.change_pointer(
        keys.catalog_latest(dataset),
        lambda present: {**present, "version": new} if present.get("version") == version else present,
    )
    return new


def own_objects(store: Store, dataset: str, patient: str, versioning: Versioning) -> list[Trace]:
    """Raw files and slices, whatever lies below the patient's name, with manifests and without."""
    found = []
    for kind, prefix in (
        (Kind.SLICES, keys.slices_prefix(dataset, patient)),
        (Kind.RAW, keys.raw_prefix(dataset, patient)),
    ):
        hidden = [StoredObject(key, 0) for key in hidden_below(store, prefix, versioning)]
        objects = tuple(store.list(prefix))
        if objects or hidden:
            note = f"{len(hidden)} of them in older versions or unfinished uploads" if hidden else ""
            found.append(Trace(kind, "all versions", (*objects, *hidden), note=note))
    return found


def slice_names(store: Store, dataset: str, patient: str) -> frozenset[str]:
    """SOP instance UIDs (or what stands for them) of the patient's slices, from the rows of all versions."""
    listed = store.list(keys.slices_prefix(dataset, patient))
    rows = [item.key for item in listed if item.key.endswith(".parquet")]
    return frozenset(name for key in rows for name in _column(store, key, "sop_uid"))


def boxes(store: Store, dataset: str, patient: str, names: Names) -> list[Trace]:
    """Every version of the tumour boxes that has one of the patient's, and the structured reports on the patient."""
    reports = keys.annotation_reports_prefix(dataset)
    listed = list(store.list(keys.annotations_prefix(dataset)))
    present = {item.key for item in listed}
    found = []
    for item in listed:
        if item.key.startswith(reports) or not item.key.endswith(".parquet"):
            continue
        if _has(store, item.key, "patient", {patient}) or _has(store, item.key, "sop_uid", names.sop):
            version = _version(item)
            key = keys.annotations_manifest(dataset, version)
            value = read_json(store, key) if key in present else None
            committed = value is not None and value.get("kind") != FORGOTTEN
            found.append(Trace(Kind.BOXES, version, (item,), key if committed else "", "tumour-annotations"))
    of_reports = [item for item in listed if item.key.startswith(reports)]
    others = _reports_of_others(store, dataset, patient) if of_reports else frozenset()
    own = tuple(
        item for item in of_reports if _is_report_of(store, item.key, patient, names, others, reports)
    )
    if own:
        found.append(Trace(Kind.SR, f"{len({_delivery(item.key) for item in own})} series", own))
    return found


def downloads(home: Path, dataset: str, series: Collection[str]) -> list[Trace]:
    """Interrupted downloads of the patient's series on this machine."""
    shelf = spool_folder(home) / dataset
    paths = tuple(path for one in sorted(series) for path in shelf.glob(f"{one}-*"))
    return [Trace(Kind.LOCAL, f"{len(paths)} series", (), paths=paths)] if paths else []


def _committed(store: Store, dataset: str, version: str) -> bool:
    value = read_json(store, keys.catalog_manifest(dataset, version))
    return value is not None and value.get("kind") != FORGOTTEN


def _version(item: StoredObject) -> str:
    return PurePosixPath(item.key).stem.removesuffix("-patients")


def _delivery(key: str) -> str:
    """`<series>-<revision>` of the key of a structured report or of its manifest `<series>-<revision>[-<n>]`."""
    path = PurePosixPath(key)
    return path.stem if path.suffix == ".json" else path.stem.rpartition("-")[0]


def _reports_of_others(store: Store, dataset: str, patient: str) -> frozenset[str]:
    """Keys of series of structured reports that the newest catalog says are of other patients."""
    try:
        rows = read_catalog(store, dataset).rows
    except (BadInput, DamagedObject, NotInStore, TypeError):
        return frozenset()
    return frozenset(row.key for row in rows if row.modality == "SR" and row.patient != patient)


def _is_report_of(
    store: Store, key: str, patient: str, names: Names, others: Collection[str], prefix: str
) -> bool:
    """By the catalogs, where these know the series; else the manifest says whose report it is."""
    delivery = _delivery(key)
    series = delivery.rpartition("-")[0]
    if series in names.reports:
        return True
    if series in others:
        return False
    manifest = read_json(store, f"{prefix}{delivery}.json")
    # Without a manifest and in no catalog: nobody can say whose it is, and nobody reads it.
    return manifest is None or manifest.get("patient") == patient


def _has(store: Store, key: str, column: str, values: Collection[str]) -> bool:
    """Whether a table has one of these values; also where it cannot be read, because it may."""
    if not values:
        return False
    try:
        return not set(values).isdisjoint(_column(store, key, column))
    except (BadInput, DamagedObject):
        return True


def _column(store: Store, key: str, column: str) -> list[str]:
    try:
        data = store.get_bytes(key)
    except NotInStore:
        return []
    table = read_parquet(data, store.uri(key), "it is deleted")
    return [str(value) for value in table.column(column).to_pylist()] if column in table.column_names else []
