"""What networks are told beside noise and image, and how it enters them; shared by all families.

In: classes, positions in the lungs, and boxes of tumours. Out: parts of generators and discriminators. A class enters a
generator as an embedding beside the noise, a position as one that is added to the first features; a discriminator gets
both by projection. Boxes of tumours become a soft map, which is added to the feature maps of both at several
resolutions, because it says where, which neither noise nor a projection can. The layers for maps have no bias: an image
of which nothing is known about tumours has an empty map and teaches them nothing.
"""

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASS_DIMENSIONS = 32
MAP_SCALE = 0.3  # standard deviation of the first weights of maps
POSITION_WAVES = 4  # sines and cosines of 1, 2, 3, 4 half periods between the base and the apex of the lungs


@dataclass(frozen=True)
class Condition:
    """What N images are, or are asked to be. None: the experiment has no such condition.

    classes: (N,) int64. positions: (N,) float32, 0 at the base of the lungs, 1 at their apex, NaN where not known.
    boxes: (N, K, 4) float32, left, top, right, bottom of tumours as fractions of the side of the image, NaN where there
    is none. annotated: (N,) bool, whether no box means that there is no tumour; False: nothing is known. hidden:
    (N, 4) float32, like a box: the part of each image that augmentation has blanked.
    """

    classes: Tensor | None = None
    positions: Tensor | None = None
    boxes: Tensor | None = None
    annotated: Tensor | None = None
    hidden: Tensor | None = None

    def followed_by(self, other: "Condition") -> "Condition":
        """Of these images, then those of another batch with the same conditions."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Condition(
            *(None if one is None or two is None else torch.cat([one, two]) for one, two in pairs)
        )

    def to(self, device: torch.device) -> "Condition":
        """The same on a device."""
        return Condition(*(None if part is None else part.to(device) for part in vars(self).values()))

    def moved(self, right: Tensor, down: Tensor, hidden: Tensor | None) -> "Condition":
        """Of images that are shifted by fractions (N,) of their side, and then partly blanked."""
        if self.boxes is None:
            return self
        shift = torch.stack([right, down, right, down], dim=1)[:, None]
        return replace(self, boxes=self.boxes + shift, hidden=hidden)


NOTHING_KNOWN = Condition()


@dataclass(frozen=True)
class ConditionKinds:
    """Which conditions a network takes. classes: their number, 0 for none."""

    classes: int = 0
    position: bool = False
    tumour: bool = False


UNCONDITIONAL = ConditionKinds()


class NoiseWithClass(nn.Module):
    """z (N, latent) to (N, dimension): the noise with the embedding of the class."""

    def __init__(self, latent: int, conditions: ConditionKinds) -> None:
        super().__init__()
        classes = conditions.classes
        self.dimension = latent + (CLASS_DIMENSIONS if classes else 0)
        self.embedding = nn.Embedding(classes, CLASS_DIMENSIONS) if classes else None

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        """(N, latent) -> (N, dimension)."""
        if self.embedding is None:
            return z
        return torch.cat([z, self.embedding(condition.classes)], dim=1)


class PlaceEmbedding(nn.Module):
    """Where a slice lies in the lungs, and whether its tumours are known, as numbers that are added to features.

    Made by `place_embedding`, as there is none without these conditions.
    """

    def __init__(self, features: int, conditions: ConditionKinds) -> None:
        super().__init__()
        self.position = PositionEmbedding(features) if conditions.position else None
        self.annotated = nn.Embedding(2, features) if conditions.tumour else None

    def forward(self, condition: Condition) -> Tensor:
        """-> (N, features)."""
        parts = []
        if self.position is not None:
            parts.append(self.position(condition.positions))
        if self.annotated is not None and condition.annotated is not None:
            parts.append(self.annotated(condition.annotated.long()))
        total: Tensor = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        return total


def place_embedding(features: int, conditions: ConditionKinds) -> PlaceEmbedding | None:
    """None where a network is told neither positions nor tumours."""
    return PlaceEmbedding(features, conditions) if conditions.position or conditions.tumour else None


class PositionEmbedding(nn.Module):
    """Positions (N,) in 0 to 1, NaN where not known, to (N, dimensions)."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.layer = nn.Linear(2 * POSITION_WAVES + 1, dimensions)

    def forward(self, positions: Tensor) -> Tensor:
        """(N,) -> (N, dimensions)."""
        known = positions.isfinite()
        waves = torch.arange(1, POSITION_WAVES + 1, device=positions.device) * torch.pi
        angles = positions.nan_to_num()[:, None] * waves
        features = torch.cat([angles.sin(), angles.cos()], dim=1) * known[:, None]
        embedded: Tensor = self.layer(torch.cat([features, known[:, None].to(features.dtype)], dim=1))
        return embedded


class ConditionProjection(nn.Module):
    """What class, position and whether tumours are known add to a logit: the inner product of an image's features
    (N, features) with their embeddings (projection discriminator, Miyato and Koyama 2018, arXiv 1802.05637). 0 without
    conditions.
    """

    def __init__(self, features: int, conditions: ConditionKinds) -> None:
        super().__init__()
        self.embedding = nn.Embedding(conditions.classes, features) if conditions.classes else None
        self.place = place_embedding(features, conditions)

    def forward(self, features: Tensor, condition: Condition) -> Tensor:
        """(N, features) -> (N,), or a scalar 0 without conditions."""
        fit = features.new_zeros(())
        if self.embedding is not None:
            fit = (features * self.embedding(condition.classes)).sum(dim=1)
        if self.place is not None:
            fit = fit + (features * self.place(condition)).sum(dim=1)
        return fit


class TumourMaps(nn.Module):
    """A map of tumours at each level of a network, added to its feature maps.

    maps: feature maps of each level, in the order in which `added` gets them. first_finer: pixels of the map along one
    side of a pixel of the first level, each of which has weights of its own there; further levels get their mean.
    """

    def __init__(self, maps: list[int], first_finer: int = 1) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Conv2d(1 if level else first_finer**2, count, 1, bias=False)
            for level, count in enumerate(maps)
        )

    def added(self, level: int, features: Tensor, tumours: Tensor) -> Tensor:
        """(N, maps, s, s) -> the same. tumours: of tumour_maps, of side s or a multiple of it."""
        weight, kind = cast(nn.Conv2d, self.levels[level]).weight.flatten(1), features.dtype
        times = tumours.shape[-1] // features.shape[-1]
        # As products: the gradient of a convolution of so few channels takes several times as long.
        if weight.shape[1] > 1:
            finer = functional.pixel_unshuffle(tumours, times).movedim(1, -1)  # (N, s, s, times^2)
            finest: Tensor = features + (finer.to(kind) @ weight.t().to(kind)).movedim(-1, 1)
            return finest
        small = functional.avg_pool2d(tumours, times) if times > 1 else tumours
        result: Tensor = torch.addcmul(features, small.to(kind), weight[:, 0, None, None].to(kind))
        return result


def initialize_maps(network: nn.Module, random: torch.Generator) -> None:
    """Draw the weights of maps of tumours from N(0, MAP_SCALE); a network without any draws nothing.

    With weights like those of other layers, a tenth of it, a map goes unnoticed for thousands of images.
    """
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, TumourMaps):
                for layer in part.levels:
                    cast(nn.Conv2d, layer).weight.normal_(0.0, MAP_SCALE, generator=random)


def tumour_maps(condition: Condition, side: int) -> Tensor:
    """Soft maps of the tumours of N images: the ellipse in each box, 1 within half of its radius, 0.6 at its edge, 0
    from one and a half on.

    Args:
        condition: Its boxes, and what is hidden of each image.
        side: Pixels per side of the maps.

    Returns:
        (N, 1, side, side) float32 in [0, 1]; where boxes overlap the larger value, 0 where the image is hidden.

    Examples:
        >>> boxes = torch.tensor([[[0.25, 0.25, 0.75, 0.75]]])
        >>> map = tumour_maps(Condition(boxes=boxes), 16)[0, 0]
        >>> map[8, 8].item(), round(map[8, 12].item(), 2), map[0, 0].item()
        (1.0, 0.49, 0.0)
    """
    assert condition.boxes is not None  # noqa: S101 (for the type checker)
    # A box that is none lies far outside.
    boxes = condition.boxes.nan_to_num(-9.0) * side
    centres = torch.arange(side, device=boxes.device, dtype=boxes.dtype) + 0.5
    left, top, right, bottom = boxes.unsqueeze(-1).unbind(dim=2)  # (N, K, 1) each
    across = (centres - (left + right) / 2) / ((right - left) / 2).clamp(min=0.5)  # (N, K, side)
    down = (centres - (top + bottom) / 2) / ((bottom - top) / 2).clamp(min=0.5)
    squared = across.square()[:, :, None, :] + down.square()[:, :, :, None]  # (N, K, side, side)
    maps = ((2.25 - squared) / 2).clamp(0, 1).amax(dim=1, keepdim=True)
    if condition.hidden is None:
        return maps
    left, top, right, bottom = (condition.hidden * side).unsqueeze(-1).unbind(dim=1)  # (N, 1) each
    rows, columns = (centres >= top) & (centres < bottom), (centres >= left) & (centres < right)
    return maps.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)
