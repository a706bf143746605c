"""The training set: which slices of which patients, split by patient, as one immutable manifest in the store.

In: the newest slices of every patient of a dataset's catalog. Out: `training-sets/<dataset>/<version>/` with a
manifest that names every shard by key and sha256, a card and a contact sheet. The shards themselves stay where
they are: an object is stored once.
"""

import hashlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chestgan_core import layout
from chestgan_core.artefacts import Artefact, canonical_json
from chestgan_core.errors import BadInput
from chestgan_core.slices.preview import contact_sheet_png
from chestgan_core.slices.shards import Shard, read_shard, rows_path
from chestgan_core.slices.splits import split_patients
from chestgan_core.slices.stored import newest_slices
from chestgan_core.sources.datasets import Dataset, dataset_named
from chestgan_core.store import Store

SIDES = ("train", "held-out")
SHOWN_PATIENTS = 12
CONTACT_SHEET = "contact-sheet.png"


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

    def fetch(self, store: Store, path: Path) -> Path:
        """The shard as a verified file, with its rows beside it; returns path."""
        store.get_file(self.key, path, self.sha256)
        store.get_file(self.rows_key, rows_path(path), self.rows_sha256)
        return path


@dataclass(frozen=True)
class TrainingSet:
    """A committed training set. missing: patients of the catalog without slices of their present files."""

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
        return [shard.fetch(store, folder / f"{shard.patient}.safetensors") for shard in self.side(side)]


def build_training_set(store: Store, dataset_name: str) -> TrainingSet:
    """Commit the training set of what is there now; the same slices give the same version.

    Raises BadInput: fewer than two patients have slices.
    """
    dataset = dataset_named(dataset_name)
    found, missing = newest_slices(store, dataset)
    if len(found) < 2:
        raise BadInput(
            f"dataset {dataset.name}",
            f"{len(found)} of {len(found) + len(missing)} patients have slices of their present files",
            "materialize slice_tensors for at least two: one is held out for the evaluation",
        )
    split = split_patients(found)
    shards = tuple(_patient_shard(patient, slices, split.side(patient)) for patient, slices in found.items())
    fields: dict[str, Any] = {
        "kind": "training-set",
        "dataset": dataset.name,
        "title": dataset.title,
        "licence": dataset.licence,
        "shards": [vars(shard) for shard in shards],
        "patients": {side: sum(s.side == side for s in shards) for side in SIDES},
        "slices": {side: sum(s.slices for s in shards if s.side == side) for side in SIDES},
    }
    version = hashlib.sha256(canonical_json(fields)).hexdigest()[:16]
    manifest_key = layout.training_set_manifest(dataset.name, version)
    # Picture and card do not decide the version: a newer library may draw other bytes of the same slices.
    if store.head(manifest_key) is None:
        with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
            sheet = contact_sheet_png(_read_some(store, shards[:SHOWN_PATIENTS], Path(scratch)))
        store.commit(manifest_key, {CONTACT_SHEET: sheet, "README.md": _card(fields)}, fields)
    store.update_pointer(layout.training_set_latest(dataset.name), {"version": version})
    print(
        f"training_set {dataset.name}  {fields['slices']['train']} slices of {fields['patients']['train']} patient(s)"
        f" to train on, {fields['slices']['held-out']} of {fields['patients']['held-out']} held out",
        file=sys.stderr,
    )
    return replace(open_training_set(store, dataset.name, version), missing=missing)


def open_training_set(store: Store, dataset_name: str, version: str | None = None) -> TrainingSet:
    """A committed training set, by default the newest. Raises NotInStore, DamagedObject."""
    dataset = dataset_named(dataset_name)
    if version is None:
        version = str(store.get_pointer(layout.training_set_latest(dataset.name))[0]["version"])
    artefact = store.read_manifest(layout.training_set_manifest(dataset.name, version))
    return TrainingSet(
        dataset=dataset,
        version=version,
        uri=store.uri(artefact.manifest_key),
        shards=tuple(PatientShard(**told) for told in artefact.manifest["shards"]),
        missing=(),
        contact_sheet_png=store.read(artefact, CONTACT_SHEET),
    )


def _patient_shard(patient: str, artefact: Artefact, side: str) -> PatientShard:
    tensors = next(item for item in artefact.objects if item.key.endswith(".safetensors"))
    rows = next(item for item in artefact.objects if item.key.endswith(".parquet"))
    told = artefact.manifest
    return PatientShard(
        patient, told["histology"], side, told["slices"], tensors.key, tensors.sha256, rows.key, rows.sha256
    )


def _read_some(store: Store, shards: Sequence[PatientShard], folder: Path) -> Iterator[Shard]:
    for number, shard in enumerate(shards):
        yield read_shard(shard.fetch(store, folder / f"{number}.safetensors"))


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
