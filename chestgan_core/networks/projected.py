"""A discriminator on frozen features: a projected GAN (Sauer et al. 2021, arXiv 2111.01007; written from the paper).

In: images. Out: the logits of several parts. Small heads judge what a network that was trained on photographs sees, at
four sizes, mixed by convolutions whose weights are drawn once and never trained. They learn fast, from few images, and
alone they repeat a few pictures and weave a texture; the discriminator of `spectral`, which sees pixels, stands beside
them, keeps the generator's images different and their grain true. As it is many times faster, the heads may judge in
every few steps only, as penalties may (Karras et al. 2020, arXiv 1912.04958). The generator is DCGAN's.

The frozen network is no part of the module's weights: it is not trained, saved, averaged or published. What was drawn
once is saved.
"""

from collections.abc import Callable, Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from chestgan_core.config.network_config import Projection
from chestgan_core.networks import dcgan, spectral
from chestgan_core.networks.conditioning import NOTHING_KNOWN, UNCONDITIONAL, Condition, ConditionKinds
from chestgan_core.networks.frozen_features import FrozenFeatures

Generator = dcgan.Generator
SMALLEST_MAP = 4  # pixels per side of the feature maps from which a head makes its logits


class Discriminator(nn.Module):
    """Images (N, 1, resolution, resolution) float32 in [-1, 1], and what they were asked to be, to logits (N,): above 0
    means real.

    width: feature maps of the discriminator of pixels at half of the resolution. It alone is told the conditions.
    """

    def __init__(
        self,
        width: int,
        resolution: int,
        conditions: ConditionKinds = UNCONDITIONAL,
        projection: Projection | None = None,
    ) -> None:
        super().__init__()
        settings = projection or Projection()
        self.settings = settings
        # In a tuple, so that it is no submodule.
        self._frozen = (FrozenFeatures(settings.features, settings.stages),)
        self.pixels = spectral.Discriminator(width, resolution, conditions) if settings.pixel_weight else None
        sizes = [max((settings.size or resolution) // 2 ** (stage + 1), 1) for stage in settings.stages]
        self.mixing = RandomMixing(self._frozen[0].channels, settings.maps)
        self.heads = nn.ModuleList(_head(settings.maps, size) for size in sizes)

    def weights(self, step: int = 0) -> tuple[float, ...]:
        """Of the parts that judge in this step, the pixels' first where there is one; their sum is 1 in the mean over
        the steps.
        """
        of_pixels, of_heads = self._mean_weights
        if not self._heads_judge(step):
            return of_pixels
        return of_pixels + tuple(self.settings.heads_every * weight for weight in of_heads)

    @property
    def _mean_weights(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Over the steps: of the pixels, and of the heads."""
        weight, heads = self.settings.pixel_weight, len(self.heads)
        return (weight / (weight + 1),) if self.pixels else (), (1 / (weight + 1) / heads,) * heads

    def _heads_judge(self, step: int) -> bool:
        return step % self.settings.heads_every == 0

    def forward(self, images: Tensor, condition: Condition = NOTHING_KNOWN) -> Tensor:
        """(N, 1, resolution, resolution) -> (N,): the weighted mean of all parts."""
        found, weights = self.parts(images, condition), sum(self._mean_weights, start=())
        means = [
            weight * part.reshape(len(images), -1).mean(dim=1)
            for weight, part in zip(weights, found, strict=True)
        ]
        return torch.stack(means).sum(dim=0)

    def parts(
        self,
        images: Tensor,
        condition: Condition = NOTHING_KNOWN,
        batches: int = 1,
        untold: int = 0,
        step: int = 0,
    ) -> list[Tensor]:
        """The logits of each part that judges in this step, (M,) each, those of an image side by side: one of an image
        from the discriminator of pixels, one for each place of the feature maps from a head.

        batches: of how many batches, one after the other, the images are. untold: so many at the start of each are
        wrong only by their condition: the heads, which are not told it, do not see them.
        """
        found: list[Tensor] = []
        if self.pixels is not None:
            found.append(self.pixels(images, condition))
        if not self._heads_judge(step):
            return found
        if untold:
            images = torch.cat([batch[untold:] for batch in images.chunk(batches)])
        if self.settings.size is not None and self.settings.size != images.shape[-1]:
            images = functional.interpolate(
                images, size=(self.settings.size,) * 2, mode="bilinear", align_corners=False, antialias=True
            )
        mixed = self.mixing(self._frozen[0](images))
        return found + [head(maps).flatten() for head, maps in zip(self.heads, mixed, strict=True)]

    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """The weights, each with the factor of its learning rate."""
        pixels = [] if self.pixels is None else [(list(self.pixels.parameters()), 1.0)]
        return [*pixels, (list(self.heads.parameters()), self.settings.heads_rate)]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moves the frozen network along."""
        self._frozen[0]._apply(fn)  # type: ignore[no-untyped-call]
        applied: Self = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return applied


class RandomMixing(nn.Module):
    """Feature maps of several sizes, the largest first, to as many of the same sizes with `maps` channels each, in
    which the smaller ones are mixed into the larger ones: a 1 x 1 convolution of each, then, from the smallest up, the
    sum with the next smaller one, doubled in size, through a 3 x 3 convolution (cross-channel and cross-scale mixing
    of the paper). All weights are drawn by `initialize` and then fixed.
    """

    def __init__(self, channels: Sequence[int], maps: int) -> None:
        super().__init__()
        self.count = len(channels)
        # Buffers: what trains a network switches all of its parameters on again.
        for at, some in enumerate(channels):
            self.register_buffer(f"across{at}", torch.zeros(maps, some, 1, 1))
            self.register_buffer(f"scale{at}", torch.zeros(maps, maps, 3, 3))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """(N, channels[k], s, s) each -> (N, maps, s, s) each."""
        mixed: list[Tensor] = []
        for at in reversed(range(self.count)):
            own = functional.conv2d(features[at], self.get_buffer(f"across{at}").to(features[at].dtype))
            if mixed:
                own = own + functional.interpolate(
                    mixed[-1], size=own.shape[-2:], mode="bilinear", align_corners=False
                )
            mixed.append(functional.conv2d(own, self.get_buffer(f"scale{at}").to(own.dtype), padding=1))
        return mixed[::-1]


def _head(maps: int, size: int) -> nn.Sequential:
    """(N, maps, size, size) -> logits (N, 1, s, s) with s at most SMALLEST_MAP."""
    layers: list[nn.Module] = []
    while size > SMALLEST_MAP:
        layers += [nn.Conv2d(maps, maps, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        size //= 2
    return nn.Sequential(*layers, nn.Conv2d(maps, 1, 3, 1, 1))


def initialize(network: nn.Module, seed: int) -> None:
    """Those of DCGAN and spectral; the random projections from N(0, 2 / number of inputs) (He et al. 2015)."""
    if not isinstance(network, Discriminator):
        dcgan.initialize(network, seed)
        return
    if network.pixels is not None:
        spectral.initialize(network.pixels, seed)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for weight in network.mixing.buffers():
            weight.normal_(0.0, (2 / weight[0].numel()) ** 0.5, generator=random)
        for layer in [*network.heads.modules()]:
            if isinstance(layer, nn.Conv2d):
                layer.weight.normal_(0.0, (2 / layer.weight[0].numel()) ** 0.5, generator=random)
                cast(Tensor, layer.bias).zero_()
                spectral_norm(layer)
