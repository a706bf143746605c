"""Differentiable augmentation: what the discriminator sees of an image, real or generated.

In: images (N, 1, R, R) in [-1, 1] with gradient, and maps of tumours. Out: the same shapes, shifted, with a blanked
square, the images with another brightness and contrast, drawn for each image (DiffAugment, Zhao et al. 2020, arXiv
2006.10738; written from the paper). Everything is drawn on the images' device, so that nothing waits.
"""

import torch
from torch import Tensor

from chestgan_core.config.training_plan import Augmentation

AIR = -1.0


def augment(
    images: Tensor, settings: Augmentation | None, random: torch.Generator, maps: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """The images, and their maps of tumours, as the discriminator sees them; unchanged without settings.

    maps: (N, 1, R, R) in [0, 1]; what moves or blanks an image moves or blanks its map. random: on the device of the
    images.
    """
    if settings is None:
        return images, maps
    if settings.probability < 1:
        # For the whole batch: a part of its images would cost as much.
        applies = torch.rand((), generator=random, device=images.device) < settings.probability
        changed, moved = _augmented(images, settings, random, maps)
        images = torch.where(applies, changed, images)
        return images, None if maps is None or moved is None else torch.where(applies, moved, maps)
    return _augmented(images, settings, random, maps)


def _augmented(
    images: Tensor, settings: Augmentation, random: torch.Generator, maps: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    def uniform(low: float, high: float) -> Tensor:
        """(N, 1, 1, 1)."""
        drawn = torch.rand((len(images), 1, 1, 1), generator=random, device=images.device)
        return low + (high - low) * drawn

    if settings.contrast:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * uniform(1 - settings.contrast, 1 + settings.contrast)
    if settings.brightness:
        images = images + uniform(-2 * settings.brightness, 2 * settings.brightness)
    if settings.translation:
        images, maps = _shifted(images, settings.translation, random, maps)
    if settings.cutout:
        images, maps = _cut_out(images, settings.cutout, random, maps)
    return images, maps


def _shifted(
    images: Tensor, max_fraction: float, random: torch.Generator, maps: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Each image by whole pixels along both axes, at most this fraction of the side; air comes in."""
    size, reach = images.shape[-1], round(max_fraction * images.shape[-1])
    places = torch.arange(size, device=images.device)
    for axis in (2, 3):
        shift = torch.randint(-reach, reach + 1, (len(images), 1), generator=random, device=images.device)
        source = places + shift  # (N, size)
        outside = (source < 0) | (source >= size)
        shape = (-1, 1, size, 1) if axis == 2 else (-1, 1, 1, size)
        index = source.clamp(0, size - 1).view(shape).expand_as(images)
        images = images.gather(axis, index).masked_fill(outside.view(shape), AIR)
        if maps is not None:
            maps = maps.gather(axis, index).masked_fill(outside.view(shape), 0.0)
    return images, maps


def _cut_out(
    images: Tensor, fraction: float, random: torch.Generator, maps: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """A square of this fraction of the side, anywhere, also partly outside, becomes 0."""
    size = images.shape[-1]
    side = max(1, round(fraction * size))
    places = torch.arange(size, device=images.device)
    inside = []
    for _ in range(2):
        centre = torch.randint(0, size, (len(images), 1), generator=random, device=images.device)
        start = centre - side // 2
        inside.append((places >= start) & (places < start + side))
    rows, columns = inside
    square = (rows[:, :, None] & columns[:, None, :])[:, None]
    return images.masked_fill(square, 0.0), None if maps is None else maps.masked_fill(square, 0.0)
