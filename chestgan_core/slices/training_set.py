"""The training set: which slices of which patients, split by patient, as one immutable manifest in the store.

In: the newest slices of every patient of a dataset's catalog. Out: `training-sets/<dataset>/<version>/` with a
manifest that names every shard by key and sha256, a card and a contact sheet. The shards themselves stay where
they are: an object is stored once.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chestgan_core import layout
from chestgan_core.artefacts import canonical_json
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.pictures import image_grid, png_of
from chestgan_core.slices.shards import Shard, read_shard
from chestgan_core.slices.splits import split_patients
from chestgan_core.slices.windows import WINDOWS
from chestgan_core.sources.catalog import read_catalog
from chestgan_core.sources.datasets import Dataset, dataset_named
from chestgan_core.store import Store

SHOWN_PER_PATIENT = 8


@dataclass(frozen=True)
class PatientShard:
    """One patient's slices. side: `train` or `held-out`. key, sha256: of the safetensors object and of its rows."""

    patient: str
    histology: str
    side: str
    slices: int
    key: str
    sha256: str
    rows_key: str
    rows_sha256: str


@dataclass(frozen=True)
class TrainingSet:
    """A committed training set. missing: patients of the catalog that have no slices (yet)."""

    dataset: Dataset
    version: str
    uri: str
    shards: tuple[PatientShard, ...]
    missing: tuple[str, ...]
    contact_sheet_png: bytes

    def side(self, name: str) -> tuple[PatientShard, ...]:
        """The shards of `train` or of `held-out`."""
        return tuple(shard for shard in self.shards if shard.side == name)

    def fetch(self, store: Store, side: str, folder: Path) -> list[Path]:
        """The shards of one side as verified files FILE.safetensors with FILE.parquet beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for shard in self.side(side):
            path = folder / f"{shard.patient}.safetensors"
            store.get_file(shard.key, path, shard.sha256)
            store.get_file(shard.rows_key, path.with_suffix(".parquet"), shard.rows_sha256)
            files.append(path)
        return files


def build_training_set(store: Store, dataset_name: str) -> TrainingSet:
    """Commit the training set of what is there now; the same slices give the same version.

    Raises BadInput: fewer than two patients have slices.
    """
    import tempfile

    dataset = dataset_named(dataset_name)
    found, missing = _newest_slices(store, dataset.name)
    split = split_patients(patient for patient, _ in found)
    shards = tuple(_patient_shard(patient, manifest, split.side(patient)) for patient, manifest in found)
    fields: dict[str, Any] = {
        "kind": "training-set",
        "dataset": dataset.name,
        "title": dataset.title,
        "licence": dataset.licence,
        "shards": [vars(shard) for shard in shards],
        "patients": {side: sum(s.side == side for s in shards) for side in ("train", "held-out")},
        "slices": {side: sum(s.slices for s in shards if s.side == side) for side in ("train", "held-out")},
    }
    version = hashlib.sha256(canonical_json(fields)).hexdigest()[:16]
    manifest_key = layout.training_set_manifest(dataset.name, version)
    with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
        sheet = _contact_sheet(store, shards, Path(scratch))
        store.commit(manifest_key, {"contact-sheet.png": sheet, "README.md": _card(fields)}, fields)
    store.update_pointer(layout.training_set_latest(dataset.name), {"version": version})
    return TrainingSet(dataset, version, store.uri(manifest_key), shards, missing, sheet)


def open_training_set(store: Store, dataset_name: str, version: str | None = None) -> TrainingSet:
    """A committed training set, by default the newest. Raises NotInStore, DamagedObject."""
    dataset = dataset_named(dataset_name)
    if version is None:
        version = str(store.get_pointer(layout.training_set_latest(dataset.name))[0]["version"])
    artefact = store.read_manifest(layout.training_set_manifest(dataset.name, version))
    sheet = artefact.find("contact-sheet.png")
    return TrainingSet(
        dataset=dataset,
        version=version,
        uri=store.uri(artefact.manifest_key),
        shards=tuple(PatientShard(**told) for told in artefact.manifest["shards"]),
        missing=(),
        contact_sheet_png=store.get_bytes(sheet.key, sheet.sha256),
    )


def _newest_slices(store: Store, dataset: str) -> tuple[list[tuple[str, Any]], tuple[str, ...]]:
    """(patient, artefact) for those that have slices, and the patients of the catalog that have none."""
    found, missing = [], []
    for patient in read_catalog(store, dataset).patients:
        try:
            version = str(store.get_pointer(layout.slices_latest(dataset, patient))[0]["version"])
        except NotInStore:
            missing.append(patient)
            continue
        found.append((patient, store.read_manifest(layout.slices_manifest(dataset, patient, version))))
    if len(found) < 2:
        raise BadInput(
            f"dataset {dataset}",
            f"{len(found)} of {len(found) + len(missing)} patients have slices",
            "materialize slice_tensors for at least two: one is held out for the evaluation",
        )
    return found, tuple(missing)


def _patient_shard(patient: str, artefact: Any, side: str) -> PatientShard:
    tensors = next(item for item in artefact.objects if item.key.endswith(".safetensors"))
    rows = next(item for item in artefact.objects if item.key.endswith(".parquet"))
    told = artefact.manifest
    return PatientShard(
        patient, told["histology"], side, told["slices"], tensors.key, tensors.sha256, rows.key, rows.sha256
    )


def _contact_sheet(store: Store, shards: tuple[PatientShard, ...], folder: Path) -> bytes:
    """A row for each of the first 12 patients, lung window: neck to abdomen from left to right."""
    rows = [preview_slices(shard) for shard in _read_some(store, shards[:12], folder)]
    return png_of(image_grid(np.concatenate(rows), columns=SHOWN_PER_PATIENT))


def _read_some(store: Store, shards: tuple[PatientShard, ...], folder: Path) -> Iterator[Shard]:
    for number, shard in enumerate(shards):
        path = folder / f"{number}.safetensors"
        store.get_file(shard.key, path, shard.sha256)
        store.get_file(shard.rows_key, path.with_suffix(".parquet"), shard.rows_sha256)
        yield read_shard(path)


def preview_slices(shard: Shard, count: int = SHOWN_PER_PATIENT) -> np.ndarray:
    """(count, 1, S, S) float32 in [-1, 1], lung window, evenly spaced over the shard."""
    chosen = np.linspace(0, len(shard.slices) - 1, count).round().astype(int)
    shown: np.ndarray = WINDOWS["lung"].to_unit(shard.slices[chosen])
    return shown[:, None]


def _card(fields: dict[str, Any]) -> bytes:
    patients, slices = fields["patients"], fields["slices"]
    return (
        f"# Training set of {fields['dataset']}\n\n"
        f"Source: {fields['title']}. Licence: {fields['licence']}.\n\n"
        "| side | patients | slices |\n|---|---|---|\n"
        f"| train | {patients['train']} | {slices['train']} |\n"
        f"| held-out | {patients['held-out']} | {slices['held-out']} |\n\n"
        "Patients are split, not slices. Values are Hounsfield units (int16); a window is chosen at training time.\n"
    ).encode()
