"""The held-out slices of the training set that a set's generator was trained with, as pictures without names.

In: a published set. Out: pictures as published ones are, with class, level and tumour boxes. Patients become numbers in
a shuffled order. Imports torch, because the slices are resized as they were for the training.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chestgan_core.config.conditions import Conditions
from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadInput, Forgotten, NotInStore
from chestgan_core.imaging.pictures import to_grey
from chestgan_core.local.parquet import read_parquet
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.reader.manifest import SetFacts, facts_from
from chestgan_core.publishing.versions.listing import show_set
from chestgan_core.reading.images.real_images import Collected, RealRow
from chestgan_core.reading.study_key import Box
from chestgan_core.slices.shards import SliceRow, read_shard, write_shard
from chestgan_core.slices.splits import HELD_OUT
from chestgan_core.slices.training_manifest import SideShard
from chestgan_core.slices.training_rows import REMEDY, SCHEMA, WHERE, patients_of
from chestgan_core.slices.training_set import ROWS, TrainingSet, open_training_set
from chestgan_core.store.store import Store
from chestgan_core.training.data import load_slices
from chestgan_core.training.run_manifest import RunManifest, generator_sha256, read_run_manifest, runs_of


def collect(
    store: Store, set_name: str, set_version: str, folder: Path, max_images: int, max_per_patient: int
) -> Collected:
    """Choose and load the slices. Raises as real_images.collect_real_images."""
    facts = _facts(store, set_name, set_version)
    run = run_of(store, facts)
    experiment = parse_experiment(dict(run.experiment), facts.experiment, f"run {run.run}")
    _require_same_look(facts, experiment, run)
    training_set = open_training_set(store, run.dataset, run.training_set)
    rows = _held_out_rows(store, training_set, experiment)
    draw = random.Random(f"{facts.model_sha256} {training_set.version}")  # noqa: S311 (no secret)
    chosen = _spread(rows, max_images, max_per_patient, draw)
    numbers = _numbers(chosen, draw)
    pictures: list[NDArray[np.uint8]] = []
    found: list[RealRow] = []
    by_shard: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in chosen:
        by_shard[row["shard"]].append(row)
    shards = [shard for shard in training_set.side(HELD_OUT) if shard.name in by_shard]
    with Progress(f"reader_study_images {set_name}", total=len(chosen), unit="images") as progress:
        for shard in shards:
            own = by_shard[shard.name]
            pictures.append(_pictures(store, shard, own, experiment, folder))
            levels = _levels(shard.stored.rows(store))
            size = training_set.dataset.slice_size
            found += [_row(row, numbers[row["patient"]], levels, size) for row in own]
            progress.step(len(own))
    return Collected(
        run=run.run,
        training_set=training_set.version,
        window=experiment.display_window,
        held_out=len(rows),
        rows=tuple(found),
        pictures=np.concatenate(pictures),
    )


def run_of(store: Store, facts: SetFacts) -> RunManifest:
    """The run that trained the generator of a set, found by the sha256 of its weights. Raises NotInStore."""
    for key in runs_of(store, facts.experiment):
        try:
            artefact = store.read_manifest(key)
        except Forgotten:
            continue  # a run of before, of which only the tombstone is left
        if generator_sha256(artefact) == facts.model_sha256:
            return read_run_manifest(store, artefact)
    cause = (
        f"its generator ({facts.model_sha256[:8]}...) is that of no run of {facts.experiment} in this store"
    )
    remedy = "use a set that was made here, or bring its run and training set into this store"
    raise NotInStore(f"set {facts.name}", cause, remedy)


def _facts(store: Store, set_name: str, set_version: str) -> SetFacts:
    manifest = show_set(store, set_name, set_version)
    return facts_from(manifest["set"], manifest["uri"])


def _require_same_look(facts: SetFacts, experiment: Experiment, run: RunManifest) -> None:
    """What both sides share: pixels a side, and the values of black and white. Raises BadInput."""
    if (facts.resolution, facts.window) != (experiment.resolution, experiment.display_window):
        raise BadInput(
            f"set {facts.name}",
            f"shows {facts.window} at {facts.resolution} pixels, its run {run.run} was trained on "
            f"{experiment.display_window} at {experiment.resolution}",
            "publish the set again",
        )


def _held_out_rows(
    store: Store, training_set: TrainingSet, experiment: Experiment
) -> list[Mapping[str, Any]]:
    """Rows of the training set on the held-out side, of the classes of the experiment. Raises BadInput."""
    data = store.read(training_set.artefact, ROWS)
    table = read_parquet(data, WHERE, REMEDY, schema=SCHEMA)
    rows: list[Mapping[str, Any]] = [
        row
        for row in table.to_pylist()
        if row["side"] == HELD_OUT and (not experiment.classes or row["histology"] in experiment.classes)
    ]
    what = f"training set of {training_set.dataset.name}"
    if not rows:
        raise BadInput(what, "holds out no slices of these classes", "materialize more patients")
    if both := patients_of(data, "train") & {row["patient"] for row in rows}:
        raise BadInput(what, f"has {len(both)} patient(s) on both sides", "materialize training_set again")
    return rows


def _spread(
    rows: Sequence[Mapping[str, Any]], max_images: int, max_per_patient: int, draw: random.Random
) -> list[Mapping[str, Any]]:
    """At most max_per_patient of each patient: one slice of each of as many equal parts of the positions, whichever the
    seed says. Where all together are too many, patients lose slices in turn, those with most of them first.
    """
    of_patient: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        of_patient[row["patient"]].append(row)
    limit = _limit([len(own) for own in of_patient.values()], max_images, max_per_patient)
    chosen = []
    for own in of_patient.values():
        own.sort(key=lambda row: (row["series_uid"], row["stack"], row["position_mm"], row["index"]))
        count = min(limit, len(own))
        ends = [part * len(own) // count for part in range(count + 1)]
        chosen += [own[draw.randrange(low, high)] for low, high in pairwise(ends)]
    return sorted(chosen, key=lambda row: (row["shard"], row["index"]))[:max_images]


def _limit(counts: Sequence[int], max_images: int, max_per_patient: int) -> int:
    """The largest number per patient, at most max_per_patient and at least 1, that gives no more than max_images."""
    limit = max_per_patient
    while limit > 1 and sum(min(count, limit) for count in counts) > max_images:
        limit -= 1
    return limit


def _numbers(rows: Sequence[Mapping[str, Any]], draw: random.Random) -> dict[str, int]:
    """Patient -> number from 1, which does not follow the order of the names."""
    patients = sorted({row["patient"] for row in rows})
    draw.shuffle(patients)
    return {patient: number for number, patient in enumerate(patients, 1)}


def _pictures(
    store: Store, shard: SideShard, rows: Sequence[Mapping[str, Any]], experiment: Experiment, folder: Path
) -> NDArray[np.uint8]:
    path = shard.stored.fetch(store, folder / f"{shard.name}.safetensors")
    write_shard(read_shard(path, [row["index"] for row in rows]), path)
    # Pictures alone: what the generator was told of slices is not needed for them.
    loaded = load_slices([path], experiment.model_copy(update={"conditions": Conditions()}))
    path.unlink()
    return to_grey(loaded.images)


def _levels(rows: Sequence[SliceRow]) -> dict[int, float]:
    """Index -> 0 at the lowest and 1 at the highest slice of its series that shows lung. Without slices at two
    positions nothing is known.
    """
    stacks: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        stacks[row.patient, row.series_uid, row.stack].append(index)
    levels: dict[int, float] = {}
    for indices in stacks.values():
        positions = [rows[index].position_mm for index in indices]
        low, extent = min(positions), max(positions) - min(positions)
        if extent > 0:
            levels |= {index: round((rows[index].position_mm - low) / extent, 4) for index in indices}
    return levels


def _row(row: Mapping[str, Any], patient: int, levels: Mapping[int, float], size: int) -> RealRow:
    sides = ("left", "top", "right", "bottom")
    boxes = [{side: min(max(box[side] / size, 0), 1) for side in sides} for box in row["boxes"]]
    return RealRow(
        image_class=row["histology"],
        patient=patient,
        level=levels.get(row["index"]),
        boxes=tuple(Box(**box) for box in boxes),
    )
