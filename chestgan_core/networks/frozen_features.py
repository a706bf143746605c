"""The feature maps of a network that was trained on photographs, for discriminators on top of them.

In: grey images. Out: its feature maps at several sizes, through which a gradient flows to the images. Its weights are
never trained.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from chestgan_core.imaging.pretrained import efficientnet_grey, efficientnet_lite

NETWORKS: dict[str, Literal[0, 1, 2]] = {"efficientnet-lite1": 1}


class FrozenFeatures(nn.Module):
    """Images (N, 1, R, R) in [-1, 1] to feature maps, the largest first: of a quarter, an eighth, a 16th and a 32nd of
    the side, as far as `stages` (1 to 4) names them. channels: of each.

    Raises NotAvailable: the weights are not installed.
    """

    def __init__(self, name: str, stages: Sequence[int]) -> None:
        super().__init__()
        network, _ = efficientnet_lite(NETWORKS[name])
        stem = network._conv_stem
        with torch.no_grad():
            # All colours are equal: one input channel with the sum of their weights gives the same.
            stem.weight = nn.Parameter(stem.weight.sum(dim=1, keepdim=True))
            stem.in_channels = 1
        self.stem = nn.Sequential(stem, network._bn0, network._swish)
        _pad_within_convolutions(network)
        groups = _stages(network)[: max(stages)]
        self.stages = nn.ModuleList(nn.Sequential(*group) for group in groups)
        self.taken = frozenset(stages)
        self.channels: list[int] = [groups[stage - 1][-1]._block_args.output_filters for stage in stages]
        self.eval()
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Always as in evaluation: it is not trained."""
        fixed: Self = super().train(False)
        return fixed

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 1, R, R) -> (N, channels[k], s, s) each."""
        # One input channel is contiguous in both layouts, and the convolution takes the slower one: half of the speed.
        x = self.stem(efficientnet_grey(images)).contiguous(memory_format=torch.channels_last)
        found = []
        for number, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if number in self.taken:
                found.append(x)
        return found


def _pad_within_convolutions(network: Any) -> None:
    """Padding that is equal on all sides is the convolution's own, where the package copies the maps to pad them: a
    fifth of the time.
    """
    for layer in network.modules():
        padding = getattr(layer, "static_padding", None)
        if isinstance(padding, nn.ZeroPad2d) and len(set(padding.padding)) == 1:
            layer.padding = (padding.padding[0],) * 2
            layer.static_padding = nn.Identity()


def _stages(network: Any) -> list[list[Any]]:
    """The blocks in groups, each of which halves the size once; those at half of the side belong to the first."""
    groups: list[list[Any]] = [[]]
    halved = False
    for block in network._blocks:
        halves = block._depthwise_conv.stride[0] == 2
        if halves and halved:
            groups.append([])
        halved = halved or halves
        groups[-1].append(block)
    return groups
