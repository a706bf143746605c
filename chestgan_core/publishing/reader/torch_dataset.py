"""A synthetic set as a torch Dataset: the only file of the reader that needs torch."""

from typing import SupportsIndex, overload

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset

from chestgan_core.imaging.pictures import from_grey
from chestgan_core.publishing.reader.set_reader import Label, SetReader


class SyntheticSet(SetReader, Dataset[tuple[Tensor, Label]]):
    """A synthetic set as a torch Dataset. Made by `open_set`.

    Item k is the image, (1, H, W) float32 in [-1, 1], and its label: `index`, `seed`, `class` (empty where the set has
    no classes) and `file` (its name in the tar). Images are read on access, also by the workers of a
    DataLoader, and each is checked against its sha256. k is a whole number of Python or numpy, from -len to len - 1; a
    slice, `images[:100]`, is a torch Subset.

    Attributes:
        facts: What the manifest says of the images: resolution in pixels, window in HU, source, classes.
        version: 16 hex digits of what the set holds.

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
    """

    # A slice of a set is a Dataset too: torch's Subset, whose items are read on access.
    @overload
    def __getitem__(self, k: SupportsIndex) -> tuple[Tensor, Label]: ...
    @overload
    def __getitem__(self, k: slice) -> Subset[tuple[Tensor, Label]]: ...
    def __getitem__(self, k: SupportsIndex | slice) -> tuple[Tensor, Label] | Subset[tuple[Tensor, Label]]:
        if isinstance(k, slice):
            return Subset(self, range(len(self))[k])
        return torch.from_numpy(from_grey(self.grey(k)))[None], self.label(k)
