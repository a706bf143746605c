"""The manifest of a training set: everything that decides which slices are used, and what is counted of them.

In: the dataset, its shards, the selection and the rows. Out: fields, as they are written and as they are read.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chestgan_core.config.dataset import Dataset
from chestgan_core.slices.annotated_slices import BoxCounts, condition_counts
from chestgan_core.slices.candidates import StoredShard
from chestgan_core.slices.selection import Selection, UsedSlice
from chestgan_core.slices.splits import SIDES
from chestgan_core.store.artefacts import canonical_json


@dataclass(frozen=True)
class SideShard:
    """The slices of one stored shard on one side. histology: the class of its patients. patients: how many."""

    stored: StoredShard
    histology: str
    side: str
    patients: int
    slices: int

    @property
    def name(self) -> str:
        """The patient, or the class of pictures."""
        return self.stored.name


@dataclass(frozen=True)
class TrainingSetManifest:
    """What is read from a committed manifest; `manifest_fields` writes more. annotations: version of those that it was
    first built with, "" without any.
    """

    shards: tuple[SideShard, ...]
    in_shards: int
    left_out: dict[str, int]
    patients: dict[str, int]
    slices: dict[str, int]
    classes: dict[str, dict[str, dict[str, int]]]
    boxes: dict[str, Any]
    conditions: dict[str, dict[str, int]]
    annotations: str = ""


def manifest_fields(
    dataset: Dataset,
    shards: Sequence[StoredShard],
    selection: Selection,
    boxes: BoxCounts,
    defects: Mapping[str, int],
    rows: Sequence[Mapping[str, Any]],
    references: str,
) -> dict[str, Any]:
    """Everything that decides which slices are used, and nothing that does not."""
    classes: dict[str, dict[str, Any]] = {}
    grouped: defaultdict[str, list[UsedSlice]] = defaultdict(list)
    for use in selection.used:
        grouped[use.candidate.row.histology].append(use)
    for name, of_class in sorted(grouped.items()):
        classes[name] = {side: _count([use for use in of_class if use.side == side]) for side in SIDES}
    sides = {side: _count([use for use in selection.used if use.side == side]) for side in SIDES}
    return {
        "kind": "training-set",
        "dataset": dataset.name,
        "title": dataset.title,
        "licence": dataset.licence,
        "citation": dataset.citation,
        "doi": dataset.doi,
        "size": dataset.slice_size,
        "hounsfield": dataset.has_hounsfield,
        "synthetic": dataset.synthetic,
        "rules": dataset.training_set.model_dump(),
        "references": references,
        # A flat copy of a collection has no split folders; it was split by patient.
        "split_folders": getattr(dataset.source, "splits", {})
        if any(row["series_uid"] for row in rows)
        else {},
        "shards": [asdict(shard) for shard in _side_shards(shards, selection.used)],
        "in_shards": sum(shard.slices for shard in shards),
        "left_out": dict(selection.left_out),
        "patients": {side: sides[side]["patients"] for side in SIDES},
        "slices": {side: sides[side]["slices"] for side in SIDES},
        "classes": classes,
        "boxes": asdict(boxes),
        "conditions": {
            side: condition_counts([use.candidate for use in selection.used if use.side == side])
            for side in SIDES
        },
        "annotation_defects": dict(defects),
        "uids_of_several_patients": _shared_uids(rows),
        "rows_sha256": _sha256_of_rows(rows),
    }


def _sha256_of_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Row by row: a million of them are half a gigabyte of JSON."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical_json(row))
    return digest.hexdigest()


def _shared_uids(rows: Sequence[Mapping[str, Any]]) -> int:
    """How many SOP instance UIDs are those of slices of several patients: one person may have two ids."""
    patients = {(row["sop_uid"], row["patient"]) for row in rows}
    return sum(count > 1 for count in Counter(uid for uid, _ in patients).values())


def _side_shards(shards: Sequence[StoredShard], used: Sequence[UsedSlice]) -> list[SideShard]:
    grouped: defaultdict[tuple[str, str], list[UsedSlice]] = defaultdict(list)
    for use in used:
        grouped[use.candidate.shard, use.side].append(use)
    return [
        SideShard(shard, uses[0].candidate.row.histology, side, **_count(uses))
        for shard in shards
        for side in SIDES
        if (uses := grouped.get((shard.name, side)))
    ]


def _count(uses: Sequence[UsedSlice]) -> dict[str, int]:
    return {"patients": len({use.candidate.row.patient for use in uses}), "slices": len(uses)}
