"""The slices of each batch, on the device of a training: from a tensor there, or from a mapped file.

In: images, a sampler, the random numbers of a training. Out: what was drawn, with the same bits from both.

Which slices come next depends on all random numbers before. On a CPU they are known when they are drawn, and are read
at once. On CUDA that would make the CPU wait for the GPU in each step. There a stream of random numbers is a seed and a
place in it, and what a step takes of it is the same in every so many steps: so the place of the next draws is known, a
thread draws and reads ahead, and a batch is used only where the training has arrived at exactly that place.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from chestgan_core.training.mapped_images import Images, MappedImages
from chestgan_core.training.sampling import IndexSampler

AHEAD = 4  # batches


class SliceFeed:
    """Mapped images for a training on a device. period: draws after which a training takes as many random numbers again
    as before. Close it: a thread of its own may read ahead.
    """

    def __init__(self, images: MappedImages, device: torch.device, period: int) -> None:
        self._images, self._device = images, device
        self._ahead = _ReadAhead(images, device, period) if device.type == "cuda" else None

    @property
    def shape(self) -> torch.Size:
        """(N, 1, R, R)."""
        return self._images.shape

    def __len__(self) -> int:
        return len(self._images)

    @property
    def read_ahead(self) -> tuple[int, int]:
        """How many batches were there when they were asked for, and how many were not."""
        return (0, 0) if self._ahead is None else (self._ahead.ready, self._ahead.missed)

    def draw(self, sampler: IndexSampler, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """As draw_batch."""
        found = None if self._ahead is None else self._ahead.find(sampler, count, random)
        if found is None:
            chosen = sampler(count, random)
            stored = self._images.stored(chosen.cpu().numpy())
            found = chosen, self._images.as_images(stored.to(self._device))
        if self._ahead is not None:
            self._ahead.plan(sampler, count)
        return found

    def close(self) -> None:
        """End the thread."""
        if self._ahead is not None:
            self._ahead.close()


Shown: TypeAlias = Tensor | SliceFeed
"""Images of which a training draws: (N, 1, R, R) on its device, or a feed."""


@contextmanager
def open_feed(images: Images, device: torch.device, period: int) -> Iterator[Shown]:
    """What draw_batch draws of, while the block runs. period: as of SliceFeed."""
    if isinstance(images, Tensor):
        yield images.to(device).contiguous(memory_format=torch.channels_last)
        return
    feed = SliceFeed(images, device, period)
    try:
        yield feed
    finally:
        feed.close()


def draw_batch(
    images: Shown, sampler: IndexSampler, count: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Indices (count,) int64, and their images (count, 1, R, R) float32, on the device."""
    if isinstance(images, SliceFeed):
        return images.draw(sampler, count, random)
    chosen = sampler(count, random)
    return chosen, images[chosen]


@dataclass(frozen=True)
class _Batch:
    """after: the state of the random numbers when it was drawn. done: what a stream waits for that uses it."""

    chosen: Tensor
    images: Tensor
    after: Tensor
    done: torch.cuda.Event


class _ReadAhead:
    """Draws and reads the next batches in a thread, on a CUDA stream of its own."""

    def __init__(self, images: MappedImages, device: torch.device, period: int) -> None:
        self._images, self._device = images, device
        self._stream = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="slices")
        self._taken: list[int | None] = [None] * period  # of the stream, from a draw to the next
        self._state: Tensor | None = None  # before the last draw
        self._draws, self.ready, self.missed = 0, 0, 0
        self._next: dict[tuple[bytes, int], Future[_Batch]] = {}  # by the state before it, and its size

    def find(
        self, sampler: IndexSampler, count: int, random: torch.Generator
    ) -> tuple[Tensor, Tensor] | None:
        """The batch that is drawn now, where it was read ahead; the random numbers go on behind it."""
        state = random.get_state()
        if self._state is not None:
            self._taken[self._draws % len(self._taken)] = _place(state) - _place(self._state)
            self._draws += 1
        self._state = state
        future = self._next.pop((_bytes(state), count), None)
        if future is None:
            self.missed += 1
            self._forget()
            return None
        self.ready += 1
        batch, stream = future.result(), torch.cuda.current_stream(self._device)
        random.set_state(batch.after)
        stream.wait_event(batch.done)
        for tensor in (batch.chosen, batch.images):
            tensor.record_stream(stream)
        return batch.chosen, batch.images

    def plan(self, sampler: IndexSampler, count: int) -> None:
        """Read the batches ahead whose place is known."""
        state = self._state
        for number in range(self._draws, self._draws + AHEAD):
            taken = self._taken[number % len(self._taken)]
            if state is None or taken is None:
                return
            state = _moved(state, taken)
            key = _bytes(state), count
            if key not in self._next:
                self._next[key] = self._pool.submit(self._read, sampler, count, state)

    def close(self) -> None:
        self._forget()
        self._pool.shutdown(wait=True)

    def _forget(self) -> None:
        for future in self._next.values():
            future.cancel()
        self._next.clear()

    def _read(self, sampler: IndexSampler, count: int, state: Tensor) -> _Batch:
        random = torch.Generator(self._device)
        random.set_state(state)
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            chosen = sampler(count, random)
            stored = self._images.stored(chosen.cpu().numpy(), pinned=True)
            images = self._images.as_images(stored.to(self._device, non_blocking=True))
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(self._stream)
        return _Batch(chosen, images, random.get_state(), done)


def _bytes(state: Tensor) -> bytes:
    return state.numpy().tobytes()


def _place(state: Tensor) -> int:
    """How many random numbers of its stream a CUDA generator has given: the last 8 bytes of its state."""
    return int(state.numpy()[-8:].view(np.int64)[0])


def _moved(state: Tensor, by: int) -> Tensor:
    moved = state.clone()
    moved.numpy()[-8:].view(np.int64)[0] += by
    return moved
