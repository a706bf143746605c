"""Differentiable augmentation: what the discriminator sees of an image, real or generated.

In: images (N, 1, R, R) in [-1, 1] with gradient. Out: the same shape, shifted, with a blanked
square, with another brightness and contrast, drawn for each image (DiffAugment, Zhao et al. 2020, arXiv
2006.10738; written from the paper). Everything is drawn on the images' device, so that nothing waits.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from chestgan_core.config.training_plan import Augmentation

AIR = -1.0


@dataclass(frozen=True)
class Moves:
    """What was done to N images besides their grey levels. right, down: (N,) float32, shifts as fractions of the side.
    hidden: (N, 4) float32, left, top, right, bottom of the blanked square, as fractions; None: nothing was blanked.
    """

    right: Tensor
    down: Tensor
    hidden: Tensor | None


def augment(
    images: Tensor, settings: Augmentation | None, random: torch.Generator
) -> tuple[Tensor, Moves | None]:
    """The images as the discriminator sees them, and how they moved, so that boxes move with them; without settings
    unchanged and None. random: on the device of the images.
    """
    if settings is None:
        return images, None
    if settings.probability < 1:
        # For the whole batch: a part of its images would cost as much.
        applies = torch.rand((), generator=random, device=images.device) < settings.probability
        changed, moves = _augmented(images, settings, random)
        hidden = None if moves.hidden is None else moves.hidden * applies
        moves = Moves(moves.right * applies, moves.down * applies, hidden)
        return torch.where(applies, changed, images), moves
    return _augmented(images, settings, random)


def _augmented(images: Tensor, settings: Augmentation, random: torch.Generator) -> tuple[Tensor, Moves]:
    def uniform(low: float, high: float) -> Tensor:
        """(N, 1, 1, 1)."""
        drawn = torch.rand((len(images), 1, 1, 1), generator=random, device=images.device)
        return low + (high - low) * drawn

    if settings.contrast:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * uniform(1 - settings.contrast, 1 + settings.contrast)
    if settings.brightness:
        images = images + uniform(-2 * settings.brightness, 2 * settings.brightness)
    right = down = images.new_zeros(len(images))
    hidden = None
    if settings.translation:
        images, right, down = _shifted(images, settings.translation, random)
    if settings.cutout:
        images, hidden = _cut_out(images, settings.cutout, random)
    return images, Moves(right, down, hidden)


def _shifted(images: Tensor, max_fraction: float, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Each image by whole pixels along both axes, at most this fraction of the side; air comes in. Then how far to the
    right and down, as fractions.
    """
    size, reach = images.shape[-1], round(max_fraction * images.shape[-1])
    places = torch.arange(size, device=images.device)
    moved = []
    for axis in (2, 3):
        shift = torch.randint(-reach, reach + 1, (len(images), 1), generator=random, device=images.device)
        source = places + shift  # (N, size)
        outside = (source < 0) | (source >= size)
        shape = (-1, 1, size, 1) if axis == 2 else (-1, 1, 1, size)
        index = source.clamp(0, size - 1).view(shape).expand_as(images)
        images = images.gather(axis, index).masked_fill(outside.view(shape), AIR)
        moved.append(-shift[:, 0] / size)
    return images, moved[1], moved[0]


def _cut_out(images: Tensor, fraction: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """A square of this fraction of the side, anywhere, also partly outside, becomes 0. Then where it lies."""
    size = images.shape[-1]
    side = max(1, round(fraction * size))
    places = torch.arange(size, device=images.device)
    inside, starts = [], []
    for _ in range(2):
        centre = torch.randint(0, size, (len(images), 1), generator=random, device=images.device)
        start = centre - side // 2
        inside.append((places >= start) & (places < start + side))
        starts.append(start)
    rows, columns = inside
    top, left = starts
    square = torch.cat([left, top, left + side, top + side], dim=1) / size
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0), square
