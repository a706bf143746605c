"""Training images that stay in a file on the local disk: what a batch needs is read through a mapping.

In: a packed file (packed_file.py). Out: `MappedImages`, of which some are taken as of a tensor, with the same bits as
if all were in memory. The system keeps what was read as long as nothing else needs the memory, and gives it up without
a word: it counts as no memory of the process.
"""

import mmap
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.imaging.windows import Window
from chestgan_core.slices.mapped_tensors import map_tensor

IMAGES = "images"
"""The tensor of a packed file: (N, R, R), int16 as slices are stored, or float32 in [-1, 1]."""
PART = 2**22  # pixels that are gone through at once
SPREAD = 2**24  # pixels from which the spread is measured: 4,096 images of 64 x 64
READ_AHEAD = 2**17  # bytes, a multiple of a page: Linux reads no more ahead for one request, by default


class MappedImages:
    """(N, 1, R, R) float32 in [-1, 1] on the CPU, for what takes some of them; nothing can be written into them.

    path: a packed file. window: through which its int16 values become images; None where they are images. held: is
    closed when nobody has these images any more. Another process that gets them opens the file by itself, and holds
    nothing.
    """

    def __init__(self, path: Path, window: Window | None, held: ExitStack | None = None) -> None:
        self._path, self._window = path, window
        if held is not None:
            weakref.finalize(self, held.close)
        mapped = map_tensor(path, IMAGES)
        self._pages: mmap.mmap = getattr(mapped, "_mmap")  # noqa: B009 (numpy says how to get it, and mypy does not)
        self._pages.madvise(mmap.MADV_RANDOM)
        self._start = _offset(mapped, self._pages)
        self._stored = mapped.view(np.ndarray)  # (N, R, R)
        self._bytes = self._stored[0].nbytes

    @property
    def shape(self) -> torch.Size:
        """(N, 1, R, R)."""
        count, *sides = self._stored.shape
        return torch.Size((count, 1, *sides))

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, chosen: int | slice | Tensor | NDArray[Any] | Sequence[int]) -> Tensor:
        """One image (1, R, R), or some (n, 1, R, R)."""
        if isinstance(chosen, int):
            return self[[chosen]][0]
        if isinstance(chosen, slice):
            chosen = range(*chosen.indices(len(self)))
        return self.as_images(self.stored(np.asarray(chosen)))

    def stored(self, chosen: NDArray[Any], *, pinned: bool = False) -> Tensor:
        """(n, 1, R, R) as they are in the file. chosen: (n,) indices, or (N,) bool. pinned: in memory that a GPU reads
        by itself.
        """
        places = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        places = np.where(places < 0, places + len(self), places)
        if places.size and not 0 <= places.min() <= places.max() < len(self):
            raise IndexError(f"there are {len(self)} images")
        self._announce(places)
        if not pinned:
            return torch.from_numpy(self._stored[places])[:, None]
        kind = torch.int16 if self._stored.dtype == np.int16 else torch.float32
        taken = torch.empty((len(places), *self._stored.shape[1:]), dtype=kind, pin_memory=True)
        np.take(self._stored, places, 0, taken.numpy(), "clip")  # "clip", as with "raise" it copies twice
        return taken[:, None]

    def as_images(self, stored: Tensor) -> Tensor:
        """What `stored` gives, as networks see it, on the device where it is. The same bits on each: the window
        subtracts, multiplies and clips.
        """
        return stored if self._window is None else self._window.to_unit(stored)

    def _announce(self, places: NDArray[np.int64]) -> None:
        """Let the system read all of them at once, and not one page after the other as they are looked at."""
        ordered = np.unique(places)
        for run in np.split(ordered, np.flatnonzero(np.diff(ordered) != 1) + 1):
            if run.size:
                start = self._start + int(run[0]) * self._bytes
                end = start + run.size * self._bytes
                for low in range(start - start % mmap.PAGESIZE, end, READ_AHEAD):
                    self._pages.madvise(mmap.MADV_WILLNEED, low, min(READ_AHEAD, end - low))

    def __reduce__(self) -> tuple[Any, ...]:
        return MappedImages, (self._path, self._window)


Images: TypeAlias = Tensor | MappedImages
"""(N, 1, R, R) float32 in [-1, 1]: all in memory, or in a mapped file."""


def parts_of(images: Images) -> Iterator[Tensor]:
    """Some after the other; of anything else with a first dimension too."""
    together = max(PART // max(images.shape[1:].numel(), 1), 1)
    for start in range(0, len(images), together):
        yield images[start : start + together]


def spread_of(images: Images) -> float:
    """Mean over the pixels of the standard deviation between the images, of some that are evenly spaced where there are
    many; NaN of fewer than two.
    """
    enough = max(SPREAD // images.shape[1:].numel(), 64)
    some = images[:: -(-len(images) // enough)]
    return float(some.std(dim=0).mean())


def _offset(mapped: NDArray[Any], pages: mmap.mmap) -> int:
    """Where the first value is in the mapping."""
    return int(mapped.ctypes.data - np.frombuffer(pages, np.uint8).ctypes.data)
