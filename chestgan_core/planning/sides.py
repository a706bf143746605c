"""Both sides of the split, for a plan: from files, or from the newest training set in the store.

In: paths, or a training set. Out: LoadedSlices of each side, checked as for a training, and how many there are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chestgan_core.config.experiment import Experiment
from chestgan_core.planning.plan import DataFacts, SideCounts
from chestgan_core.slices.marks import marks_from_file
from chestgan_core.slices.splits import HELD_OUT, TRAIN
from chestgan_core.slices.training_set import TrainingSet
from chestgan_core.store.store import Store
from chestgan_core.training.data import LoadedSlices, load_held_out, load_training_slices
from chestgan_core.training.mapped_images import Images

Sides = tuple[LoadedSlices[Images], LoadedSlices[Images] | None]


def sides_from_files(
    experiment: Experiment, trained: Sequence[Path], held_out: Sequence[Path], marks: Path | None
) -> Sides:
    """From shards. Raises BadInput as a training does."""
    known = marks_from_file(marks) if marks else None
    loaded = load_training_slices(trained, experiment, known)
    return loaded, load_held_out(held_out, loaded, experiment, known) if held_out else None


def sides_of(store: Store, training_set: TrainingSet, experiment: Experiment, scratch: Path) -> Sides:
    """Of a training set. Raises BadInput as a training does, NotInStore, DamagedObject."""
    marks = training_set.marks(store) if experiment.conditions.tumour is not None else None
    fetched = [training_set.fetch(store, side, scratch / side) for side in (TRAIN, HELD_OUT)]
    trained = load_training_slices(fetched[0], experiment, marks)
    return trained, load_held_out(fetched[1], trained, experiment, marks)


def facts_of(training_set: TrainingSet, experiment: Experiment) -> DataFacts:
    """How many patients and slices of it an experiment uses."""
    manifest = training_set.manifest
    train, held_out = (_counts(manifest, side, experiment.classes) for side in (TRAIN, HELD_OUT))
    return DataFacts(f"training set {training_set.version} of {training_set.dataset.name}", train, held_out)


def _counts(manifest: Mapping[str, Any], side: str, classes: Sequence[str]) -> SideCounts:
    if not classes:
        return SideCounts(manifest["patients"][side], manifest["slices"][side])
    of = [manifest["classes"][name][side] for name in classes if name in manifest["classes"]]
    return SideCounts(sum(one["patients"] for one in of), sum(one["slices"] for one in of))
