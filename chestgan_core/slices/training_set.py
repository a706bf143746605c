"""The training set: which slices of which patients, split by patient, as one immutable manifest in the store.

In: the newest slices of every patient of a dataset's catalog (or of the classes of its pictures), its tumour boxes and
its rules. Out: `training-sets/<dataset>/<version>/` with a manifest that names every shard by key and sha256,
slices.parquet with a row per used slice, a card, and contact sheets per class and per condition. The shards themselves
stay where they are: an object is stored once, and fetching a side writes the chosen slices of a shard into a local one.
"""

import logging
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.errors import BadInput, PatientForgotten
from chestgan_core.local.progress import Progress
from chestgan_core.reasons import in_words
from chestgan_core.slices.annotated_slices import with_annotations
from chestgan_core.slices.candidates import StoredShard, read_candidates
from chestgan_core.slices.contact_sheets import (
    CONDITION_SHEETS,
    CONTACT_SHEET,
    UNNAMED,
    contact_sheets,
    preview_window,
)
from chestgan_core.slices.marks import SliceMarks, read_marks
from chestgan_core.slices.newest_slices import newest_slices
from chestgan_core.slices.selection import select_slices
from chestgan_core.slices.shards import read_shard, write_shard
from chestgan_core.slices.splits import SIDES
from chestgan_core.slices.training_card import write_card
from chestgan_core.slices.training_manifest import SideShard, TrainingSetManifest, manifest_fields
from chestgan_core.slices.training_rows import TrainingRows, chosen_indices, patients_of, rows_bytes
from chestgan_core.sources.annotations.boxes import Annotations
from chestgan_core.sources.annotations.stored import newest_annotations, open_annotations
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, content_version
from chestgan_core.store.forgotten import forgotten_patients, remove_artefact
from chestgan_core.store.store import Store

log = logging.getLogger(__name__)

ROWS, CARD = "slices.parquet", "README.md"


@dataclass(frozen=True)
class TrainingSet:
    """A committed training set. missing: patients of the catalog without current slices.

    Counts in the manifest: `patients` and `slices` by side, `classes` (class -> side -> patients, slices), `in_shards`
    = all slices = used + the sum of `left_out` (by reason), `boxes` (BoxCounts), `conditions` (side ->
    condition_counts).
    """

    dataset: Dataset
    version: str
    uri: str
    shards: tuple[SideShard, ...]
    missing: tuple[str, ...]
    artefact: Artefact

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What was committed."""
        return self.artefact.manifest

    def side(self, name: str) -> tuple[SideShard, ...]:
        """The shards of `train` or of `held-out`."""
        return tuple(shard for shard in self.shards if shard.side == name)

    def fetch(self, store: Store, side: str, folder: Path) -> list[Path]:
        """The slices of one side as files FILE.safetensors with FILE.parquet beside it, one for each of `side(...)`.

        A shard of which all slices are used is copied; of another the chosen slices are written. Both are verified.
        One shard at a time is on the disk twice and its slices in memory.
        Raises NotInStore, DamagedObject, BadInput (the disk is full).
        """
        chosen: Mapping[tuple[str, str], Sequence[int]] | None = None
        paths = []
        for shard in self.side(side):
            path = folder / f"{shard.name}.safetensors"
            paths.append(shard.stored.fetch(store, path))
            if shard.slices < shard.stored.slices:
                if chosen is None:
                    chosen = chosen_indices(store.read(self.artefact, ROWS))
                write_shard(read_shard(path, chosen[shard.name, side]), path)
        return paths

    def marks(self, store: Store) -> SliceMarks:
        """Where the tumours of its slices are, on which there are none, and of which nobody knows. Raises NotInStore,
        DamagedObject.
        """
        return read_marks(store.read(self.artefact, ROWS), store.uri(self.artefact.manifest_key))

    def contact_sheets(self, store: Store) -> dict[str, bytes]:
        """Class -> PNG; the class is `unknown` where the histology is not known."""
        names = sorted(name or UNNAMED for name in self.manifest["classes"])
        return {name: store.read(self.artefact, CONTACT_SHEET.format(name)) for name in names}

    def condition_sheets(self, store: Store) -> dict[str, bytes]:
        """What the slices of a sheet have in common (contact_sheets.CONDITION_SHEETS) -> PNG, where there are such."""
        there = {self.artefact.name(item) for item in self.artefact.objects}
        return {
            title: store.read(self.artefact, name)
            for title, name in CONDITION_SHEETS.items()
            if name in there
        }

    def patients_on_both_sides(self, store: Store) -> int:
        """0, or the split is broken: counted in the committed rows, not in what was meant to be written."""
        train, held_out = (patients_of(store.read(self.artefact, ROWS), side) for side in SIDES)
        return len(train & held_out)

    def card(self, store: Store) -> str:
        """The dataset card, Markdown."""
        return store.read(self.artefact, CARD).decode()


def build_training_set(store: Store, dataset_name: str) -> TrainingSet:
    """Commit a training set of the current slices; the same slices and rules give the same version.

    Raises BadInput: fewer than two patients have slices, or the rules leave nothing; PatientForgotten: one of them has
    withdrawn meanwhile; NotInStore.
    """
    dataset = dataset_named(dataset_name)
    shards, missing, not_normalized = _stored(store, dataset)
    annotations, drawn = _annotations(store, dataset)
    candidates, boxes = with_annotations(read_candidates(store, shards), annotations, dataset.slice_size)
    rejected, references = _rejected_by_references(store, dataset, shards)
    selection = select_slices(candidates, dataset, rejected)
    rows = TrainingRows(selection.used)
    fields = manifest_fields(dataset, shards, selection, boxes, annotations.defects, rows, references)
    fields["not_normalized"] = not_normalized
    version = content_version(fields)
    fields["annotations"] = drawn  # not of the content: they may say the same of these slices as those before
    manifest_key = keys.training_set_manifest(dataset.name, version)
    # Sheets, card and the bytes of the Parquet file do not decide the version: a newer library may write other bytes
    # of the same slices.
    if not store.is_complete(manifest_key):
        with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
            by_name = {shard.name: shard for shard in shards}
            sheets = contact_sheets(store, dataset, by_name, selection.used, Path(scratch))
        card = write_card(fields, rows).encode()
        store.commit(manifest_key, {**sheets, CARD: card, ROWS: rows_bytes(rows)}, fields)
    if dataset.has_hounsfield:
        _require_all_there(store, dataset, manifest_key, [shard.name for shard in shards])
    store.update_pointer(keys.training_set_latest(dataset.name), {"version": version})
    slices, patients = fields["slices"], fields["patients"]
    log.info(
        f"training_set {dataset.name}  {slices['train']} slices of {patients['train']} patient(s) to train on, "
        f"{slices['held-out']} of {patients['held-out']} held out, left out {in_words(selection.left_out)}"
    )
    return replace(open_training_set(store, dataset.name, version), missing=missing)


def _require_all_there(store: Store, dataset: Dataset, manifest_key: str, patients: Sequence[str]) -> None:
    """Takes back what was just committed, and raises PatientForgotten, where one of its patients has withdrawn."""
    if gone := forgotten_patients(store, dataset.name).intersection(patients):
        remove_artefact(store, manifest_key)
        cause = f"{len(gone)} of its patients withdrew while it was made"
        raise PatientForgotten(f"training set of {dataset.name}", cause, "materialize training_set again")


def open_training_set(store: Store, dataset_name: str, version: str | None = None) -> TrainingSet:
    """A committed training set, by default the newest. Raises NotInStore, DamagedObject."""
    dataset = dataset_named(dataset_name)
    if version is None:
        (version,) = store.read_pointer(keys.training_set_latest(dataset.name), "version")
    key = keys.training_set_manifest(dataset.name, version)
    artefact, manifest = store.read_typed(
        key, TrainingSetManifest, "materialize training_set again", "the manifest of a training set"
    )
    return TrainingSet(
        dataset=dataset,
        version=version,
        uri=store.uri(artefact.manifest_key),
        shards=manifest.shards,
        missing=(),
        artefact=artefact,
    )


def _stored(store: Store, dataset: Dataset) -> tuple[list[StoredShard], tuple[str, ...], dict[str, int]]:
    """The shards, the patients without one, and what was left out when the shards were made."""
    if not dataset.has_hounsfield:
        from chestgan_core.slices.image_slices import newest_image_slices
        from chestgan_core.sources.images.collection import open_images

        classes = newest_image_slices(store, dataset)
        unused = Counter(row.status for row in open_images(store, dataset.name).rows if not row.is_selected)
        shards = [StoredShard.from_artefact(name, artefact) for name, artefact in sorted(classes.items())]
        return shards, (), dict(sorted(unused.items()))
    found, missing = newest_slices(store, dataset)
    if len(found) < 2:
        raise BadInput(
            f"dataset {dataset.name}",
            f"{len(found)} of {len(found) + len(missing)} patients have slices of their current files",
            "materialize slice_tensors for at least two: one is held out for the evaluation",
        )
    left_out: Counter[str] = Counter()
    for artefact in found.values():
        left_out.update(artefact.manifest["left_out"])
    shards = [StoredShard.from_artefact(patient, artefact) for patient, artefact in found.items()]
    return shards, missing, dict(sorted(left_out.items()))


def _annotations(store: Store, dataset: Dataset) -> tuple[Annotations, str]:
    """What was drawn, and its version, "" if nothing was gathered.

    Raises BadInput where the rules need tumour boxes and none were gathered.
    """
    version = newest_annotations(store, dataset.name) if dataset.annotations else ""
    if not version and dataset.training_set.slices == "tumour":
        raise BadInput(
            f"training set of {dataset.name}",
            "needs slices with a tumour box, and no boxes were gathered",
            "materialize tumour_annotations"
            if dataset.annotations
            else "name their source under annotations of the dataset, or set slices: lung",
        )
    return open_annotations(store, dataset.name, version)[1] if version else Annotations((), {}), version


def _rejected_by_references(
    store: Store, dataset: Dataset, shards: Sequence[StoredShard]
) -> tuple[list[int], str]:
    """Indices into all slices of all shards that the reference selector rejects, and the id of its references; empty
    where another selector decides. Every slice is measured.
    """
    rules = dataset.training_set
    if rules.reference is None or rules.selector != "reference":
        return [], ""
    from chestgan_core.slices.reference_selection import open_selector, select_by_reference

    rejected: list[int] = []
    first = 0
    with (
        tempfile.TemporaryDirectory(prefix="chestgan-") as scratch,
        Progress(f"training_set {dataset.name}", sum(shard.slices for shard in shards), "slices") as progress,
    ):
        for shard in shards:
            path = shard.fetch(store, Path(scratch) / "shard.safetensors")
            kept = select_by_reference(read_shard(path).slices, rules.reference, preview_window(dataset))
            rejected += [first + index for index, is_kept in enumerate(kept.tolist()) if not is_kept]
            first += shard.slices
            progress.step(shard.slices)
    return rejected, open_selector(rules.reference, dataset.slice_size, preview_window(dataset)).id
