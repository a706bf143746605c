"""The tumour annotations of a dataset in the store: one Parquet file, its manifest, and the pointer to the newest.

In: `Annotations`. Out: `annotations/<dataset>/<version>.parquet` with a row per box (`says` is box, with the fields of
`TumourBox`), per series that was annotated as a whole (annotated) and per slice on which something was drawn that
cannot be used (unsure), each with its patient, so that one patient's rows can be removed. The manifest has counts.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.errors import NotInStore
from chestgan_core.sources.annotations.boxes import Annotations, TumourBox
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, content_version, sha256_of
from chestgan_core.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

REMEDY = "materialize tumour_annotations again"
BOX, ANNOTATED, UNSURE = "box", "annotated", "unsure"


@dataclass(frozen=True)
class StoredAnnotations:
    """Annotations in the store. sha256: of the Parquet file."""

    uri: str
    sha256: str
    version: str
    annotations: Annotations


@dataclass(frozen=True)
class _Manifest:
    """What is read from a committed manifest; `facts_of` writes more."""

    defects: dict[str, int]


def newest_annotations(store: Store, dataset_name: str) -> str:
    """Version of a dataset's newest annotations, "" if none were ever gathered. Raises DamagedObject, StoreError."""
    try:
        (version,) = store.read_pointer(keys.annotations_latest(dataset_name), "version")
    except NotInStore:
        return ""
    return version


def read_annotations(store: Store, dataset_name: str) -> Annotations | None:
    """The newest annotations of a dataset, None if none were ever gathered. Raises DamagedObject, StoreError."""
    version = newest_annotations(store, dataset_name)
    return open_annotations(store, dataset_name, version)[1] if version else None


def open_annotations(store: Store, dataset_name: str, version: str) -> tuple[Artefact, Annotations]:
    """One version, with its manifest. Raises NotInStore, DamagedObject, StoreError."""
    from chestgan_core.local.parquet import read_parquet

    artefact, manifest = store.read_typed(
        keys.annotations_manifest(dataset_name, version),
        _Manifest,
        REMEDY,
        "the manifest of tumour annotations",
    )
    data = store.read(artefact, f"{version}.parquet")
    rows = read_parquet(data, store.uri(artefact.manifest_key), REMEDY).to_pylist()
    boxes = tuple(
        TumourBox(**{name: row[name] for name in TumourBox.__annotations__})
        for row in rows
        if row["says"] == BOX
    )
    series = {row["series_uid"]: row["patient"] for row in rows if row["says"] == ANNOTATED}
    unsure = {row["sop_uid"]: row["patient"] for row in rows if row["says"] == UNSURE}
    return artefact, Annotations(boxes, manifest.defects, tuple(series), tuple(unsure), series | unsure)


def commit_annotations(
    store: Store, dataset_name: str, annotations: Annotations, more: Mapping[str, Any]
) -> StoredAnnotations:
    """Commit a version; the pointer stays where it is. more: what else the manifest says."""
    from chestgan_core.local.parquet import write_parquet

    manifest = {**more, **facts_of(annotations)}
    with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
        path = Path(scratch) / "boxes.parquet"
        path.write_bytes(write_parquet(table_of(annotations), compression="zstd"))
        sha256 = sha256_of(path)
        version = content_version(sha256, manifest)
        manifest_key = keys.annotations_manifest(dataset_name, version)
        store.commit(manifest_key, {f"{version}.parquet": path}, manifest)
    return StoredAnnotations(store.uri(manifest_key), sha256, version, annotations)


def facts_of(annotations: Annotations) -> dict[str, Any]:
    """What a manifest says about the annotations themselves."""
    boxes = annotations.boxes
    return {
        "boxes": len(boxes),
        "masks": sum(bool(box.mask) for box in boxes),
        "slices": len({box.sop_uid for box in boxes}),
        "patients": len({box.patient for box in boxes if box.patient}),
        "labels": dict(sorted(Counter(box.label for box in boxes).items())),
        "defects": dict(annotations.defects),
        "annotated_series": len(annotations.annotated_series),
        "unsure_slices": len(annotations.unsure_slices),
    }


def schema() -> "pa.Schema":
    """The columns of the Parquet file. Not inferred: a table without rows has no types."""
    import pyarrow as pa

    kinds = {
        name: pa.int32() if kind is int else pa.string() for name, kind in TumourBox.__annotations__.items()
    }
    return pa.schema({"says": pa.string(), "series_uid": pa.string(), **kinds})


def table_of(annotations: Annotations) -> "pa.Table":
    """The rows of the Parquet file; fields that a row has not are null."""
    import pyarrow as pa

    owner = annotations.patient_of
    rows = [
        *({"says": BOX, **asdict(box)} for box in annotations.boxes),
        *(
            {"says": ANNOTATED, "series_uid": uid, "patient": owner.get(uid, "")}
            for uid in annotations.annotated_series
        ),
        *(
            {"says": UNSURE, "sop_uid": uid, "patient": owner.get(uid, "")}
            for uid in annotations.unsure_slices
        ),
    ]
    return pa.Table.from_pylist(rows, schema=schema())
