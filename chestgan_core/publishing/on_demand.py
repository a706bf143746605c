"""Images of a set's generator for any seeds, made when they are read: a million images in one download of weights.

In: the folder of a set that holds its generator, and seeds. Out: a torch Dataset. Where a seed is one of the set, its
image is that of the set: the same bits on the same kind of device, at most one grey level of 256 beside it on another.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, SupportsIndex

import torch
from torch import Tensor
from torch.utils.data import Dataset

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.layouts.layout import Layout
from chestgan_core.local.files import is_regular
from chestgan_core.publishing.reader.levels import (
    Levels,
    apart,
    grey_level,
    levels_of,
    sha256_of_levels,
    unit_of,
)
from chestgan_core.publishing.reader.set_folder import GENERATOR, SetFolder
from chestgan_core.publishing.reader.set_reader import Label, SetReader
from chestgan_core.publishing.reader.torch_dataset import item_of
from chestgan_core.publishing.writing.asked import asked_fields, conditions_of, layouts_again
from chestgan_core.training.conditions import class_of
from chestgan_core.training.devices import pick_device
from chestgan_core.training.generation import CHUNK, generate, require_seeds
from chestgan_core.training.weights import load_generator

COMPARED = 8
"""Published images that are made again when a set is opened."""


class GeneratedSet(Dataset[tuple[Any, Any]]):
    """Images of seeds as a torch Dataset. Made by `open_set(..., seeds=...)`.

    Item k is the image of `seeds[k]`, (1, H, W) float32 in [-1, 1], and its label, as in SyntheticSet; `file` is empty.
    A DataLoader requests the items of a batch together, and they are made together: give it a batch_size of 32 or more.
    With workers, and on a GPU, each worker has the network once more; on a CPU one process without workers is fastest.

    Attributes:
        facts: What the manifest says of the published images.
        version: 16 hex digits of the set whose generator this is.
        seeds: Of the images.
        equality: "same" where the published images that were made again for comparison have the same bits, "one grey
            level" where some differ by at most one of 256 levels, as on another kind of device.
    """

    def __init__(
        self,
        folder: SetFolder,
        seeds: Sequence[int],
        device: str = "auto",
        transform: Callable[[Tensor], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        require_seeds(seeds)
        path = folder.path / GENERATOR
        what = f"set {folder.facts.name} {folder.version}"
        if not is_regular(path):
            cause = "does not hold its generator, so it has no other images than the published ones"
            raise BadInput(what, cause, "leave out seeds, or ask its publisher for publication.weights: true")
        self.facts, self.version, self.seeds = folder.facts, folder.version, seeds
        self.transform, self.target_transform = transform, target_transform
        self._generator = load_generator(path, pick_device(device))
        found = self._generator.experiment
        theirs = (self._generator.sha256, found.resolution, found.display_window, found.classes)
        facts = self.facts
        told = conditions_of(found)
        if (*theirs, told) != (
            *(facts.model_sha256, facts.resolution, facts.window, facts.classes),
            facts.conditions,
        ):
            raise DamagedObject(path, "is not the generator that the manifest names", "fetch the set again")
        self._published = SetReader(folder)
        self.equality = _compared(self, self._published)

    def __len__(self) -> int:
        return len(self.seeds)

    def levels_of(self, seeds: Sequence[int]) -> Levels:
        """(N, H, W) uint8 or uint16: the images of these seeds, as a set would publish them."""
        return self._made(seeds, self._layouts(seeds))

    def _layouts(self, seeds: Sequence[int]) -> list[Layout] | None:
        """Published images are asked again for what their labels say, others for what is drawn for their seed."""
        return layouts_again(self._generator, self.facts, self._published, seeds)

    def _made(self, seeds: Sequence[int], layouts: list[Layout] | None) -> Levels:
        return levels_of(generate(self._generator, seeds, layouts)[:, 0].numpy(), self.facts.bits)

    def label_of(self, seed: int, levels: Levels, layout: Layout | None) -> Label:
        """The label of a seed's image. index: in the published set, below 0 or beyond its images for one of no set."""
        boxes, position = asked_fields(layout, seed - self.facts.first_seed, self.facts)
        return {
            "index": seed - self.facts.first_seed,
            "seed": seed,
            "class": class_of(seed, self._generator.experiment),
            "boxes": boxes,
            "position": position,
            "sha256": sha256_of_levels(levels, self.facts.bits),
            "file": "",
        }

    def __getitem__(self, k: SupportsIndex) -> tuple[Any, Any]:
        return self.__getitems__([k])[0]

    def __getitems__(self, numbers: Sequence[SupportsIndex]) -> list[tuple[Any, Any]]:
        """Several items, made together; torch's DataLoader calls this for each batch."""
        seeds = [operator.index(self.seeds[operator.index(k)]) for k in numbers]
        return list(self._items(seeds))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for start in range(0, len(self.seeds), CHUNK):
            seeds = [operator.index(seed) for seed in self.seeds[start : start + CHUNK]]
            yield from self._items(seeds)

    def _items(self, seeds: Sequence[int]) -> Iterator[tuple[Any, Any]]:
        layouts = self._layouts(seeds)
        for at, levels in enumerate(self._made(seeds, layouts)):
            image = torch.from_numpy(unit_of(levels, self.facts.bits))[None]
            label = self.label_of(seeds[at], levels, layouts[at] if layouts else None)
            yield item_of(image, label, self.facts, self.transform, self.target_transform)


def _compared(made: GeneratedSet, published: SetReader) -> str:
    """How images that are published come out here. Raises DamagedObject: other than within one level."""
    first, count = made.facts.first_seed, made.facts.images
    numbers = sorted({0, count - 1, *range(0, count, max(count // COMPARED, 1))})[:COMPARED]
    again = made.levels_of([first + k for k in numbers])
    difference = max(
        int(apart(one, published.levels(k)).max()) for one, k in zip(again, numbers, strict=True)
    )
    if difference > grey_level(made.facts.bits):
        cause = f"makes images that differ from the published ones by up to {difference} levels"
        raise DamagedObject(made.facts.name, cause, "use the published images, and tell its publisher")
    return "one grey level" if difference else "same"
