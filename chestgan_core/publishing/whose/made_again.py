"""An image made again from the model and seed that it names, and compared with what was handed in.

In: the sha256 of a model, a seed, levels. Out: the same, at most one grey level apart, or another image. The generator
is that of a run in the store, or the one that a set published; its sha256 decides, not its name.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from chestgan_core.errors import NotInStore
from chestgan_core.layouts.layout import Layout
from chestgan_core.publishing.reader.levels import Levels, apart, grey_level, levels_of, max_level
from chestgan_core.publishing.versions.index import SetEntry, read_index
from chestgan_core.store.artefacts import StoredObject
from chestgan_core.store.store import Store
from chestgan_core.training.devices import pick_device
from chestgan_core.training.generation import generate
from chestgan_core.training.run_manifest import GENERATOR_FILE, generator_sha256, runs_of
from chestgan_core.training.weights import load_generator

Verdict: TypeAlias = Literal["same", "close", "other", "unknown"]


@dataclass(frozen=True)
class Compared:
    """verdict: same (every level), close (at most one of 256 grey levels apart, as another kind of device computes it),
    other, or unknown (the generator is not in the store). device: where it was made again. largest: the largest
    difference, in levels. pixels: how many differ.
    """

    verdict: Verdict
    device: str = ""
    largest: int = 0
    pixels: int = 0

    @property
    def confirmed(self) -> bool:
        """Whether the model makes this image."""
        return self.verdict in ("same", "close")


def make_again(
    store: Store, model_sha256: str, seed: int, layout: Layout, levels: Levels, bits: int, device: str
) -> Compared:
    """Make the image of a seed again and compare.

    Args:
        store: Where the generator is looked for.
        model_sha256: Of the generator's file.
        seed: 0 to 2^32 - 1.
        layout: What the image was asked to show; passed over where the generator is told of nothing.
        levels: (H, W) as handed in.
        bits: 8 or 16 of a level.
        device: As pick_device takes it.

    Raises:
        BadCheckpoint: The stored generator is of another version of chestgan, or damaged.
        StoreError: The store refused, or did not answer.
    """
    stored = find_generator(store, model_sha256)
    if stored is None:
        return Compared("unknown")
    where = pick_device(device)
    with tempfile.TemporaryDirectory(prefix="chestgan-whose-") as scratch:
        path = Path(scratch) / GENERATOR_FILE
        store.get_file(stored.key, path, stored.sha256)
        generator = load_generator(path, where)
        asked = [layout] if generator.experiment.conditions else None
        made = levels_of(generate(generator, [seed], asked)[0, 0].numpy(), bits)
    return compare(levels, made, bits, where.type)


def compare(levels: Levels, made: Levels, bits: int, device: str) -> Compared:
    """What two images have in common: (H, W) of the same bits."""
    if levels.shape != made.shape:
        return Compared("other", device, max_level(bits), levels.size)
    differences = apart(levels, made)
    largest, pixels = int(differences.max(initial=0)), int(np.count_nonzero(differences))
    verdict: Verdict = "same" if not largest else "close" if largest <= grey_level(bits) else "other"
    return Compared(verdict, device, largest, pixels)


def find_generator(store: Store, model_sha256: str) -> StoredObject | None:
    """The file of a generator: in a run of an experiment whose sets are of this model, or in such a set."""
    entries = [entry for entry in read_index(store) if entry.model_sha256 == model_sha256]
    return _in_sets(store, entries, model_sha256) or _in_runs(store, entries, model_sha256)


def _in_sets(store: Store, entries: Iterable[SetEntry], model_sha256: str) -> StoredObject | None:
    for entry in entries:
        try:
            objects = store.read_manifest(entry.manifest).objects
        except NotInStore:
            continue
        for item in objects:
            if item.sha256 == model_sha256 and store.head(item.key) is not None:
                return item
    return None


def _in_runs(store: Store, entries: Iterable[SetEntry], model_sha256: str) -> StoredObject | None:
    for experiment in dict.fromkeys(entry.experiment or entry.name for entry in entries):
        for key in runs_of(store, experiment):
            try:
                run = store.read_manifest(key)
            except NotInStore:
                continue
            if generator_sha256(run) == model_sha256:
                return run.find(GENERATOR_FILE)
    return None
