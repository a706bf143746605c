"""A synthetic set that is read while a network is trained on it: a torch IterableDataset."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import torch
import torch.distributed
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from chestgan_core.publishing.reader.levels import unit_of
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.reader.stream import ReadRange, stream_images
from chestgan_core.publishing.reader.torch_dataset import item_of

OpenSource: TypeAlias = Callable[[], AbstractContextManager[ReadRange]]


class StreamedSet(IterableDataset[tuple[Any, Any]]):
    """The images of a set in turn, read while they are used. Made by `stream_set`.

    An item is what SyntheticSet gives: (1, H, W) float32 in [-1, 1], and the label. The workers of a DataLoader and the
    processes of torch.distributed, divide the images among them: each image comes once in all. Shares differ by up to
    the images of a tar, so give DistributedDataParallel its `Join`, or a number of steps.

    Args:
        manifest: What is streamed.
        open_source: Opens the place where the files are; called in each worker, so it must be one that pickles.
        shuffle_buffer: Images held from which the next one is drawn; 0 keeps the order of the set.
        seed: Of the order.
        transform: As of SyntheticSet.
        target_transform: As of SyntheticSet.
        rank: Number of this process and count of all; by default those of torch.distributed where it is initialized.

    Attributes:
        facts: What the manifest says of the images.
        version: 16 hex digits of what the set holds.
    """

    def __init__(
        self,
        manifest: SetFolder,
        open_source: OpenSource,
        shuffle_buffer: int = 0,
        seed: int = 0,
        transform: Callable[[Tensor], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        rank: tuple[int, int] | None = None,
    ) -> None:
        self.facts: SetFacts = manifest.facts
        self.version = manifest.version
        self.transform, self.target_transform = transform, target_transform
        self._manifest, self._open_source = manifest, open_source
        self._shuffle_buffer, self._seed, self._epoch, self._rank = shuffle_buffer, seed, 0, rank

    def set_epoch(self, epoch: int) -> None:
        """Another order for another epoch, the same in all processes. Call it before the workers start."""
        self._epoch = epoch

    def _share(self) -> tuple[int, int]:
        rank, world = self._rank or (0, 1)
        if self._rank is None and torch.distributed.is_available() and torch.distributed.is_initialized():
            rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        worker = get_worker_info()
        if worker is None:
            return rank, world
        return rank * worker.num_workers + worker.id, world * worker.num_workers

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        seed = self._seed + 2**32 * self._epoch
        with self._open_source() as read:
            for levels, label in stream_images(
                self._manifest, read, self._shuffle_buffer, seed, self._share()
            ):
                image = torch.from_numpy(unit_of(levels, self.facts.bits))[None]
                yield item_of(image, label, self.facts, self.transform, self.target_transform)
