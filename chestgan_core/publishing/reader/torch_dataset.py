"""A synthetic set as a torch Dataset: the only file of the reader that needs torch."""

import math
from collections.abc import Callable
from typing import Any, SupportsIndex, overload

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from chestgan_core.publishing.reader.levels import unit_of
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.reader.set_reader import SetReader


class SyntheticSet(SetReader, Dataset[tuple[Any, Any]]):
    """A synthetic set as a torch Dataset. Made by `open_set`.

    Item k is the image, (1, H, W) float32 in [-1, 1], and its label: `index`, `seed`, `class` (empty where the set has
    no classes), `position` in the lungs from 0 (base) to 1 (apex) where the set has them, `sha256` and `file` (its name
    in the tar). Images are read on access, also by the workers of a
    DataLoader, and each is checked against its sha256. k is a whole number of Python or numpy, from -len to len - 1; a
    slice, `images[:100]`, is a torch Subset.

    A label has no boxes, so that the DataLoader can put labels of images with one and with two tumours into one batch,
    and a position of which nothing is known is NaN. A target_transform gets the boxes too, and `label(k)` has them:
    None where nothing is known about tumours, which is not the same as [].

    Attributes:
        facts: What the manifest says of the images: resolution in pixels, window in HU, source, classes.
        version: 16 hex digits of what the set holds.
        transform: Gets the image, and returns what an item has in its place; None leaves it.
        target_transform: Gets the whole label, with `boxes`; returns what an item has in its place.

    Examples:
        >>> from chestgan_core.publishing import open_set
        >>> from torch.utils.data import DataLoader
        >>> images = open_set("demo-set")
        >>> image, label = images[3]
        >>> image.shape, image.dtype
        (torch.Size([1, 64, 64]), torch.float32)
        >>> label["seed"], label["file"]
        (3, '000003.png')
        >>> images.hounsfield(3).dtype  # (64, 64), HU
        dtype('int16')
        >>> batch, labels = next(iter(DataLoader(images, batch_size=16)))
        >>> batch.shape
        torch.Size([16, 1, 64, 64])
        >>> flipped = open_set("demo-set", transform=lambda image: image.flip(-1), target_transform=len)
        >>> flipped[3][1]  # fields of a label
        7
    """

    def __init__(
        self,
        folder: SetFolder,
        transform: Callable[[Tensor], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(folder)
        self.transform, self.target_transform = transform, target_transform

    # A slice of a set is a Dataset too: torch's Subset, whose items are read on access.
    @overload
    def __getitem__(self, k: SupportsIndex) -> tuple[Any, Any]: ...
    @overload
    def __getitem__(self, k: slice) -> Subset[tuple[Any, Any]]: ...
    def __getitem__(self, k: SupportsIndex | slice) -> tuple[Any, Any] | Subset[tuple[Any, Any]]:
        if isinstance(k, slice):
            return Subset(self, range(len(self))[k])
        image = torch.from_numpy(unit_of(self.levels(k), self.facts.bits))[None]
        return item_of(image, self.label(k), self.facts, self.transform, self.target_transform)


def item_of(
    image: Tensor,
    label: Any,
    facts: SetFacts,
    transform: Callable[[Tensor], Any] | None,
    target_transform: Callable[[Any], Any] | None,
) -> tuple[Any, Any]:
    """An item as a Dataset gives it: the image and the label, each after its transform."""
    target = target_transform(label) if target_transform else _of_batches(label, facts)
    return (transform(image) if transform else image), target


def _of_batches(label: Any, facts: SetFacts) -> dict[str, Any]:
    """The label without what the DataLoader cannot put into a batch."""
    plain = {name: value for name, value in label.items() if name not in ("boxes", "position")}
    if facts.has_position:
        plain["position"] = math.nan if label["position"] is None else label["position"]
    return plain
