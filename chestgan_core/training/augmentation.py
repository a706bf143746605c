"""Differentiable augmentation: what the discriminator sees of an image, real or generated.

In: images (N, 1, R, R) in [-1, 1] with gradient. Out: the same shape, shifted, with a blanked square, a little brighter
and of a little more or less contrast, each image in its own way (DiffAugment, Zhao et al. 2020, arXiv 2006.10738;
written from the paper). Everything is drawn on the images' device, so that nothing waits.
"""

import torch
from torch import Tensor

from chestgan_core.config.training_plan import Augmentation

AIR = -1.0


def augment(images: Tensor, told: Augmentation | None, random: torch.Generator) -> Tensor:
    """See the module. random: on the device of the images."""
    if told is None:
        return images
    if told.probability < 1:
        # For the whole batch: a share of its images would cost as much.
        applies = torch.rand((), generator=random, device=images.device) < told.probability
        return torch.where(applies, _augmented(images, told, random), images)
    return _augmented(images, told, random)


def _augmented(images: Tensor, told: Augmentation, random: torch.Generator) -> Tensor:
    count = len(images)

    def drawn(least: float, most: float) -> Tensor:
        """(N, 1, 1, 1) uniform."""
        return least + (most - least) * torch.rand((count, 1, 1, 1), generator=random, device=images.device)

    if told.contrast:
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * drawn(1 - told.contrast, 1 + told.contrast)
    if told.brightness:
        images = images + drawn(-2 * told.brightness, 2 * told.brightness)
    if told.translation:
        images = _shifted(images, told.translation, random)
    if told.cutout:
        images = _cut_out(images, told.cutout, random)
    return images


def _shifted(images: Tensor, most: float, random: torch.Generator) -> Tensor:
    """Each image by whole pixels along both axes; air comes in."""
    size, reach = images.shape[-1], round(most * images.shape[-1])
    places = torch.arange(size, device=images.device)
    for axis in (2, 3):
        shift = torch.randint(-reach, reach + 1, (len(images), 1), generator=random, device=images.device)
        source = places + shift  # (N, size)
        outside = (source < 0) | (source >= size)
        shape = (-1, 1, size, 1) if axis == 2 else (-1, 1, 1, size)
        index = source.clamp(0, size - 1).view(shape).expand_as(images)
        images = images.gather(axis, index).masked_fill(outside.view(shape), AIR)
    return images


def _cut_out(images: Tensor, share: float, random: torch.Generator) -> Tensor:
    """A square of `share` of the side, anywhere, also partly outside, becomes 0."""
    size = images.shape[-1]
    side = max(1, round(share * size))
    places = torch.arange(size, device=images.device)
    inside = []
    for _ in range(2):
        centre = torch.randint(0, size, (len(images), 1), generator=random, device=images.device)
        start = centre - side // 2
        inside.append((places >= start) & (places < start + side))
    rows, columns = inside
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)
