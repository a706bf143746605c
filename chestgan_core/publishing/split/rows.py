"""The split of a training set: one row per series (of pictures: per picture), with what a stranger needs to fetch it.

In: a committed training set, and the archives it was made from. Out: `SplitRow`, train before held-out, in the order in
which the slices were loaded: whoever scores them in this order draws the same ones by the same seed.

A private dataset publishes who is on which side under names of this set alone, and nothing that tells a scanner or an
examination (private.py).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from chestgan_core.errors import NotInStore
from chestgan_core.local.parquet import read_parquet
from chestgan_core.publishing.split.private import without_identity
from chestgan_core.publishing.split.row import SplitRow, lines_sha256, ranges
from chestgan_core.slices.shards import SliceRow
from chestgan_core.slices.slices_manifest import REMEDY, WHAT, SlicesManifest
from chestgan_core.slices.splits import SIDES
from chestgan_core.slices.training_rows import REMEDY as ROWS_REMEDY
from chestgan_core.slices.training_rows import WHERE
from chestgan_core.slices.training_set import ROWS, TrainingSet
from chestgan_core.sources.catalog.stored_catalog import read_catalog
from chestgan_core.sources.series_rows import SeriesRow, stack_key
from chestgan_core.store import keys
from chestgan_core.store.artefacts import content_version
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.store import Store

_COLUMNS = [
    "shard",
    "index",
    "patient",
    "histology",
    "side",
    "series_uid",
    "sop_uid",
    "stack",
    "kernel",
    "thickness_mm",
]


# Side, shard, patient, series, stack, class.
_Group: TypeAlias = tuple[str, str, str, str, str, str]


@dataclass(frozen=True)
class _RawPatient:
    series: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class _RawSeries:
    location: str


@dataclass(frozen=True)
class _Origin:
    """Where one series came from. manufacturer: of its catalog row."""

    licence: str = ""
    doi: str = ""
    location: str = ""
    revision: str = ""
    files: int = 0
    bytes: int = 0
    manufacturer: str = ""


def split_rows(store: Store, training_set: TrainingSet, classes: Sequence[str] = ()) -> list[SplitRow]:
    """The split of a training set. classes: those of the experiment; others are on neither side. Empty: all.

    Raises NotInStore, DamagedObject, StoreError. An archive that was deleted since leaves its columns empty.
    """
    dataset = training_set.dataset
    used = [
        row
        for row in read_parquet(
            store.read(training_set.artefact, ROWS), WHERE, ROWS_REMEDY, columns=_COLUMNS
        ).to_pylist()
        if row["histology"] in classes or not classes
    ]
    shards = {shard.name: shard.stored for shard in training_set.shards}
    named = sorted({row["shard"] for row in used})
    with ThreadPoolExecutor(PARALLEL) as pool:
        rows_of = dict(zip(named, pool.map(lambda name: shards[name].rows(store), named), strict=True))
    groups: defaultdict[_Group, list[int]] = defaultdict(list)
    first: dict[_Group, dict[str, Any]] = {}
    for row in used:
        series, stack = _series_of(row, dataset.has_hounsfield)
        group = (row["side"], row["shard"], row["patient"], series, stack, row["histology"])
        groups[group].append(row["index"])
        first.setdefault(group, row)
    origins = {} if dataset.private else _origins(store, training_set, named)
    numbers = {name: _numbers(rows, dataset.has_hounsfield) for name, rows in rows_of.items()}
    found = []
    for group, indices in groups.items():
        side, shard, patient, series, stack, class_name = group
        chosen = [rows_of[shard][index] for index in indices]
        origin = origins.get(stack_key(series, stack)) or origins.get(series) or _Origin()
        found.append(
            SplitRow(
                side=side,
                patient=patient,
                series=series,
                stack=stack,
                class_name=class_name,
                kernel=first[group]["kernel"],
                manufacturer=origin.manufacturer,
                thickness_mm=round(first[group]["thickness_mm"], 3),
                slices=len(indices),
                numbers=ranges([numbers[shard][index] for index in indices]),
                uids_sha256=lines_sha256(row.sop_uid for row in chosen),
                looks_sha256=lines_sha256(row.phash for row in chosen),
                files=origin.files,
                bytes=origin.bytes,
                licence=origin.licence or dataset.licence,
                doi=origin.doi or dataset.doi,
                citation=dataset.citation,
                source=dataset.source.kind,
                location=origin.location,
                revision=origin.revision,
            )
        )
    rows = [row for side in SIDES for row in found if row.side == side]
    return without_identity(rows, training_set.version) if dataset.private else rows


def numbered(rows: Sequence[SliceRow], hounsfield: bool) -> dict[tuple[str, str], list[int]]:
    """(series, stack) -> the indices of its slices in a shard, in order: what `numbers` of a row counts in."""
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        found[(row.series_uid, row.stack) if hounsfield else (row.sop_uid, "")].append(index)
    return found


def _series_of(row: Mapping[str, Any], hounsfield: bool) -> tuple[str, str]:
    return (row["series_uid"], row["stack"]) if hounsfield else (row["sop_uid"], "")


def _numbers(rows: Sequence[SliceRow], hounsfield: bool) -> dict[int, int]:
    return {
        index: number
        for indices in numbered(rows, hounsfield).values()
        for number, index in enumerate(indices)
    }


def _origins(store: Store, training_set: TrainingSet, shards: Sequence[str]) -> dict[str, _Origin]:
    """Key of a series, or name of a picture in rows -> where it came from."""
    dataset = training_set.dataset
    if not dataset.has_hounsfield:
        return _pictures(store, dataset.name)
    stored = {shard.name: shard.stored for shard in training_set.shards}
    try:
        catalog = {row.key: row for row in read_catalog(store, dataset.name).rows}
    except NotInStore:
        catalog = {}

    def of_patient(patient: str) -> dict[str, _Origin]:
        version = stored[patient].key.rpartition("/")[2].removesuffix(".safetensors")
        key = keys.slices_manifest(dataset.name, patient, version)
        try:
            raw = store.read_typed(key, SlicesManifest, REMEDY, WHAT)[1].raw
            listed = store.read_typed(
                keys.raw_manifest(dataset.name, patient, raw),
                _RawPatient,
                "materialize raw_dicom again",
                "the manifest of a raw archive",
            )[1].series
        except NotInStore:
            return {}
        return {one["series"]: _origin(store, dataset.name, patient, one, catalog) for one in listed}

    with ThreadPoolExecutor(PARALLEL) as pool:
        return {key: origin for found in pool.map(of_patient, shards) for key, origin in found.items()}


def _origin(
    store: Store, dataset: str, patient: str, listed: Mapping[str, Any], catalog: Mapping[str, SeriesRow]
) -> _Origin:
    key, revision = listed["series"], listed["revision"]
    found = catalog.get(key)
    origin = _Origin(
        licence=listed["licence"],
        doi=listed["doi"],
        revision=revision,
        files=listed["files"],
        manufacturer=found.manufacturer if found else "",
    )
    manifest = keys.raw_series_manifest(dataset, patient, f"{key}-{content_version(revision)}")
    try:
        artefact, series = store.read_typed(
            manifest, _RawSeries, "materialize raw_dicom again", "the manifest of a series"
        )
    except NotInStore:
        return origin
    return replace(origin, location=series.location, bytes=artefact.bytes)


def _pictures(store: Store, dataset: str) -> dict[str, _Origin]:
    """The path of each picture in its collection; the revision is the sha256 of its bytes."""
    from chestgan_core.sources.images.collection import open_images

    try:
        rows = open_images(store, dataset).rows
    except NotInStore:
        return {}
    return {
        row.sha256[:32]: _Origin(location=row.path, revision=row.sha256, files=1, bytes=row.bytes)
        for row in rows
        if row.is_selected
    }
