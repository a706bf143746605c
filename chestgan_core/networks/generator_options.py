"""DCGAN's generator with what later papers put into it, each on its own: `network.generator` of an experiment.

In: noise and what is asked. Out: images. docs/recipes.md has what each option is worth at equal CPU time.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from chestgan_core.config.network_config import GeneratorOptions
from chestgan_core.networks.conditioning import (
    NOTHING_KNOWN,
    Condition,
    ConditionKinds,
    NoiseWithClass,
    TumourMaps,
    place_embedding,
    tumour_maps,
)
from chestgan_core.networks.dcgan import feature_maps

GRAIN_PLACES = 65_536  # at which the noise of an image may start
EXCITED_FROM = 4  # pixels per side to which feature maps are averaged before they gate larger ones
LEVELS_UP = 3  # from the maps that gate to those that are gated


class Generator(nn.Module):
    """z (N, latent) float32, and what is asked, to images (N, 1, resolution, resolution), about [-1, 1].

    width: feature maps at half of the resolution, as in DCGAN. Raises ValueError for a resolution that is not a power
    of two, 16 or more.
    """

    def __init__(
        self, latent: int, width: int, resolution: int, conditions: ConditionKinds, options: GeneratorOptions
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.noise = NoiseWithClass(latent, conditions)
        maps = feature_maps(width, resolution)[::-1]
        self.place = place_embedding(maps[0], conditions)
        self.tumours = TumourMaps(maps[1:]) if conditions.tumour else None
        given = self.noise.dimension
        # (N, given, 1, 1) -> (N, maps[0], 4, 4)
        self.start = nn.ConvTranspose2d(given, maps[0], 4, 1, 0, bias=False)
        # (N, wide, s, s) -> (N, narrow, 2s, 2s)
        self.doubling = nn.ModuleList(_doubling(wide, narrow, options) for wide, narrow in pairwise(maps))
        self.norms = nn.ModuleList(
            Modulated(some, given) if options.modulation else nn.BatchNorm2d(some) for some in maps
        )
        self.grain = (
            nn.ModuleList(Grain(some, 4 << level) for level, some in enumerate(maps))
            if options.noise
            else None
        )
        # From each level to that LEVELS_UP doublings up, if there is one, else to the last.
        self.excitations = nn.ModuleDict()
        if options.excitation:
            for level in range(len(maps)):
                if (above := min(level + LEVELS_UP, len(maps) - 1)) > level and str(
                    above
                ) not in self.excitations:
                    self.excitations[str(above)] = Excitation(maps[level], maps[above], level)
        # (N, width, resolution / 2, resolution / 2) -> (N, 1, resolution, resolution)
        self.last = _doubling(maps[-1], 1, options)
        self.bounded = options.output == "tanh"

    def forward(self, z: Tensor, condition: Condition = NOTHING_KNOWN) -> Tensor:
        """(N, latent) -> (N, 1, resolution, resolution)."""
        given: Tensor = self.noise(z, condition)
        x: Tensor = self.start(given[:, :, None, None])
        tumours = None if self.tumours is None else tumour_maps(condition, self.resolution // 2)
        levels: list[Tensor] = []
        for level, norm in enumerate(self.norms):
            if level:
                x = self.doubling[level - 1](x)
            x = norm(x, given) if isinstance(norm, Modulated) else norm(x)
            if not level and self.place is not None:
                x = x + self.place(condition)[:, :, None, None].to(x.dtype)
            elif level and self.tumours is not None and tumours is not None:
                x = self.tumours.added(level - 1, x, tumours)
            if self.grain is not None:
                x = self.grain[level](x, given)
            x = functional.relu(x, inplace=True)
            if str(level) in self.excitations:
                gate = self.excitations[str(level)]
                x = x * gate(levels[gate.level])  # type: ignore[index]
            levels.append(x)
        image: Tensor = self.last(x)
        return image.tanh() if self.bounded else image


def _doubling(wide: int, narrow: int, options: GeneratorOptions) -> nn.Module:
    """(N, wide, s, s) -> (N, narrow, 2s, 2s)."""
    if options.upsampling == "transposed":
        return nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False)
    if options.upsampling == "smoothed":
        return nn.Sequential(nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False), Smoothing(narrow))
    # Resized first, each output pixel sees the same weights, so that no grid of pixels is brighter (Odena et al. 2016).
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(wide, narrow, 3, 1, 1, bias=False)
    )


class Smoothing(nn.Module):
    """A fixed 3 x 3 binomial filter of each feature map, against the checkerboard of transposed convolutions (Zhang
    2019, arXiv 1904.11486).
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        line = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel", (line[:, None] * line).expand(maps, 1, 3, 3).clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, maps, s, s) -> the same; the border is repeated."""
        padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        return functional.conv2d(padded, self.get_buffer("kernel").to(x.dtype), groups=x.shape[1])


class Modulated(nn.Module):
    """Batch normalization whose scale and shift depend on the noise (self-modulation, Chen et al. 2019, arXiv
    1810.01365).
    """

    def __init__(self, maps: int, given: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(maps, affine=False)
        self.scale, self.shift = nn.Linear(given, maps), nn.Linear(given, maps)

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        """(N, maps, s, s), (N, given) -> (N, maps, s, s)."""
        scale, shift = self.scale(given), self.shift(given)
        return torch.addcmul(shift[:, :, None, None], self.norm(x), 1 + scale[:, :, None, None])


class Grain(nn.Module):
    """Noise for each pixel, with a learned strength for each feature map (Karras et al. 2019, arXiv 1812.04948).

    It follows from z, so that a seed always gives the same image: a piece of one fixed line of numbers, from a place
    that z decides.
    """

    def __init__(self, maps: int, size: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(maps, 1, 1))
        numbers = torch.randn(GRAIN_PLACES + size * size, generator=torch.Generator().manual_seed(size))
        self.register_buffer("numbers", numbers, persistent=False)

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        """(N, maps, s, s), (N, given) -> (N, maps, s, s)."""
        size = x.shape[-1]
        first = (given[:, 0].detach().float() * GRAIN_PLACES).long() % GRAIN_PLACES
        within = torch.arange(size * size, device=x.device)
        noise = self.get_buffer("numbers")[first[:, None] + within].view(-1, 1, size, size)
        return x + self.strength * noise.to(x.dtype)


class Excitation(nn.Module):
    """Skip-layer excitation: small feature maps gate the channels of large ones (FastGAN, Liu et al. 2021, arXiv
    2101.04775; written from the paper). level: of the small maps.
    """

    def __init__(self, small: int, large: int, level: int) -> None:
        super().__init__()
        self.level = level
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(EXCITED_FROM), nn.Conv2d(small, large, EXCITED_FROM), nn.LeakyReLU(0.2),
            nn.Conv2d(large, large, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, small, s, s) -> gates (N, large, 1, 1), 0 to 1."""
        gates: Tensor = self.layers(x)
        return gates
