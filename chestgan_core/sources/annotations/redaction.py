"""The tumour boxes of a dataset without those of patients who have withdrawn.

In: a committed version. Out: a version without these boxes, and the pointer moved to it where it named the old one.
"""

import tempfile
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from chestgan_core.local.parquet import read_parquet, write_parquet
from chestgan_core.sources.annotations.boxes import Defect, TumourBox
from chestgan_core.sources.annotations.gather import table_of
from chestgan_core.store import keys
from chestgan_core.store.artefacts import content_version, sha256_of
from chestgan_core.store.store import Store

REMEDY = "materialize tumour_annotations again"


def redact_boxes(
    store: Store, dataset: str, version: str, patients: Collection[str], sop: Collection[str]
) -> str:
    """Commit a copy without the boxes of these patients and slices; returns its version.

    Raises NotInStore, DamagedObject, StoreError.
    """
    old = store.read_manifest(keys.annotations_manifest(dataset, version))
    where = store.uri(old.manifest_key)
    rows = read_parquet(store.read(old, f"{version}.parquet"), where, REMEDY).to_pylist()
    boxes = [TumourBox(**row) for row in rows]
    kept = [box for box in boxes if box.patient not in patients and box.sop_uid not in sop]
    defects: Counter[str] = Counter(old.manifest.get("defects", {}))
    defects[str(Defect.FORGOTTEN)] += len(boxes) - len(kept)
    manifest = {
        **{name: value for name, value in old.manifest.items() if name != "objects"},
        "boxes": len(kept),
        "slices": len({box.sop_uid for box in kept}),
        "patients": len({box.patient for box in kept if box.patient}),
        "labels": dict(sorted(Counter(box.label for box in kept).items())),
        "defects": dict(defects),
    }
    with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
        path = Path(scratch) / "boxes.parquet"
        path.write_bytes(write_parquet(table_of(kept), compression="zstd"))
        new = content_version(sha256_of(path), manifest)
        store.commit(keys.annotations_manifest(dataset, new), {f"{new}.parquet": path}, manifest)
    store.change_pointer(
        keys.annotations_latest(dataset),
        lambda present: {**present, "version": new} if present.get("version") == version else present,
    )
    return new
