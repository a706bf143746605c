"""What networks are told beside noise and image, and how it enters them; shared by all families.

In: classes, positions in the lungs, and maps of tumours. Out: parts of generators and discriminators. Class and
position enter a generator as an embedding beside the noise, and a discriminator by projection. A map of tumours enters
both at each resolution, added to the feature maps, because it says where, which neither noise nor a projection can. The
layers for maps have no bias: an image of which nothing is known about tumours has an empty map and teaches them
nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASS_DIMENSIONS = 32
POSITION_DIMENSIONS = 16
POSITION_WAVES = 4  # sines and cosines of 1, 2, 3, 4 half periods between the base and the apex of the lungs
ANNOTATED_DIMENSIONS = 4


@dataclass(frozen=True)
class Condition:
    """What N images are, or are asked to be. None: the experiment has no such condition.

    classes: (N,) int64. positions: (N,) float32, 0 at the base of the lungs, 1 at their apex, NaN where not known.
    tumours: (N, 1, R, R) float32, a soft map of the boxes in [0, 1]. annotated: (N,) bool, whether an empty map means
    that there is no tumour; False: nothing is known, and the map is empty.
    """

    classes: Tensor | None = None
    positions: Tensor | None = None
    tumours: Tensor | None = None
    annotated: Tensor | None = None

    def followed_by(self, other: "Condition") -> "Condition":
        """Of these images, then those of another batch with the same conditions."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Condition(
            *(None if one is None or two is None else torch.cat([one, two]) for one, two in pairs)
        )

    def to(self, device: torch.device) -> "Condition":
        """The same on a device."""
        return Condition(*(None if part is None else part.to(device) for part in vars(self).values()))


NOTHING_KNOWN = Condition()


@dataclass(frozen=True)
class ConditionKinds:
    """Which conditions a network takes. classes: their number, 0 for none."""

    classes: int = 0
    position: bool = False
    tumour: bool = False


UNCONDITIONAL = ConditionKinds()


class NoiseWithCondition(nn.Module):
    """z (N, latent) to (N, dimension): the noise beside embeddings of class, position and whether tumours are known."""

    def __init__(self, latent: int, conditions: ConditionKinds) -> None:
        super().__init__()
        self.embedding = nn.Embedding(conditions.classes, CLASS_DIMENSIONS) if conditions.classes else None
        self.position = PositionEmbedding(POSITION_DIMENSIONS) if conditions.position else None
        self.annotated = nn.Embedding(2, ANNOTATED_DIMENSIONS) if conditions.tumour else None
        self.dimension = (
            latent
            + CLASS_DIMENSIONS * bool(conditions.classes)
            + POSITION_DIMENSIONS * conditions.position
            + ANNOTATED_DIMENSIONS * conditions.tumour
        )

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        """(N, latent) -> (N, dimension)."""
        parts = [z]
        if self.embedding is not None:
            parts.append(self.embedding(condition.classes))
        if self.position is not None:
            parts.append(self.position(condition.positions))
        if self.annotated is not None and condition.annotated is not None:
            parts.append(self.annotated(condition.annotated.long()))
        return torch.cat(parts, dim=1) if len(parts) > 1 else z


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
        self.position = PositionEmbedding(features) if conditions.position else None
        self.annotated = nn.Embedding(2, features) if conditions.tumour else None

    def forward(self, features: Tensor, condition: Condition) -> Tensor:
        """(N, features) -> (N,), or a scalar 0 without conditions."""
        parts: list[Tensor] = []
        if self.embedding is not None:
            parts.append(self.embedding(condition.classes))
        if self.position is not None:
            parts.append(self.position(condition.positions))
        if self.annotated is not None and condition.annotated is not None:
            parts.append(self.annotated(condition.annotated.long()))
        if not parts:
            return features.new_zeros(())
        fit: Tensor = (features * torch.stack(parts).sum(dim=0)).sum(dim=1)
        return fit


class TumourMaps(nn.Module):
    """A map of tumours, added to the feature maps of each level of a network.

    maps: feature maps of each level, in the order in which `added` gets them.
    """

    def __init__(self, maps: list[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(1, count, 3, padding=1, bias=False) for count in maps)

    def added(self, level: int, features: Tensor, tumours: Tensor) -> Tensor:
        """(N, maps, s, s) -> the same. tumours: (N, 1, R, R), averaged down to s."""
        side = tumours.shape[-1] // features.shape[-1]
        small = functional.avg_pool2d(tumours, side) if side > 1 else tumours
        result: Tensor = features + self.levels[level](small)
        return result


def tumour_maps(boxes: Tensor, resolution: int) -> Tensor:
    """Soft maps of tumours: an ellipse in each box, 1 within half of its radius, falling to 0 at one and a half.

    Args:
        boxes: (N, K, 4) float32, left, top, right, bottom in pixels of the image; a box with NaN is none.
        resolution: pixels per side.

    Returns:
        (N, 1, resolution, resolution) float32 in [0, 1], where boxes overlap the larger value.

    Examples:
        >>> boxes = torch.tensor([[[4.0, 4.0, 12.0, 12.0]]])
        >>> map = tumour_maps(boxes, 16)[0, 0]
        >>> map[8, 8].item(), round(map[8, 12].item(), 2), map[0, 0].item()
        (1.0, 0.37, 0.0)
    """
    count, most = boxes.shape[:2]
    if not most:
        return boxes.new_zeros((count, 1, resolution, resolution))
    centres = torch.arange(resolution, device=boxes.device, dtype=boxes.dtype) + 0.5
    left, top, right, bottom = boxes.unsqueeze(-1).unbind(dim=2)  # (N, K, 1) each
    across = (centres - (left + right) / 2) / ((right - left) / 2).clamp(min=0.5)  # (N, K, R)
    down = (centres - (top + bottom) / 2) / ((bottom - top) / 2).clamp(min=0.5)
    radius = (across.square()[:, :, None, :] + down.square()[:, :, :, None]).sqrt()  # (N, K, R, R)
    return (1.5 - radius).clamp(0, 1).nan_to_num(0).amax(dim=1, keepdim=True)
