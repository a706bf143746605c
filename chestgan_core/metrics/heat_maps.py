"""The network of the detector: images to heat maps of tumours; what the maps should be, and the boxes they mean.

In: (N, 1, R, R) images and boxes. Out: maps (N, CHANNELS, R / STRIDE, R / STRIDE), losses, peaks. After CenterNet
(Zhou et al. 2019, arXiv 1904.07850): a tumour is a peak, and there stand its size and where in the cell its centre is.
"""

from itertools import pairwise
from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional

# Of the maps, in pixels: at 64 pixels a side tumours are 3 to 8 pixels wide, two of them must not share a cell.
STRIDE = 2
WIDTHS = (16, 32, 64, 96)
# What a side of the images must be a multiple of.
MULTIPLE = STRIDE * 2 ** (len(WIDTHS) - 1)
# Logit of a centre; offset of the centre from the middle of the cell, x and y, in cells; logarithm of width and height
# in cells.
CHANNELS = 5
# Before anything is learned a cell is a centre with this probability, so that the first steps are not spent on that.
PRIOR = 0.01
# Standard deviation of the heat around a centre: this fraction of the box, at least so many cells.
SPREAD, MIN_SPREAD = 1 / 6, 0.5
# Cells this hot learn size and offset, not the peak alone: the highest cell may be a neighbour of the true one.
WARM = 0.3
# Sizes are bounded before the exponential: no box is wider than any image.
MAX_LOG = 6.0


class HeatMapNetwork(nn.Module):
    """(N, 1, R, R) float32 in [-1, 1], R a multiple of MULTIPLE -> (N, CHANNELS, R / STRIDE, R / STRIDE)."""

    def __init__(self) -> None:
        super().__init__()
        # 2 x 2 pixels become four channels: convolutions at full size would take most of the time.
        self.fold = nn.PixelUnshuffle(STRIDE)
        inputs = (STRIDE**2, *WIDTHS[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(_convolution(few, many, 2 if level else 1), _convolution(many, many))
            for level, (few, many) in enumerate(zip(inputs, WIDTHS, strict=True))
        )
        self.across = nn.ModuleList(nn.Conv2d(many, few, 1) for few, many in pairwise(WIDTHS))
        self.up = nn.ModuleList(_convolution(width, width) for width in WIDTHS[:-1])
        self.head = _convolution(WIDTHS[0], WIDTHS[1])
        self.last = nn.Conv2d(WIDTHS[1], CHANNELS, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, R, R) -> (N, CHANNELS, R / STRIDE, R / STRIDE)."""
        x = self.fold(images)
        levels: list[Tensor] = []
        for down in self.down:
            x = down(x)
            levels.append(x)
        for level in reversed(range(len(WIDTHS) - 1)):
            coarse = functional.interpolate(self.across[level](x), scale_factor=2.0, mode="nearest")
            x = self.up[level](levels[level] + coarse)
        found: Tensor = self.last(self.head(x))
        return found


def _convolution(few: int, many: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(few, many, 3, stride, 1, bias=False), nn.BatchNorm2d(many), nn.ReLU(inplace=True)
    )


def initialize(network: HeatMapNetwork, seed: int) -> None:
    """Draw new weights (He et al. 2015, arXiv 1502.01852) from a seed, on the CPU."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.normal_(0.0, (2 / layer.weight[0].numel()) ** 0.5, generator=random)
                if layer.bias is not None:
                    layer.bias.zero_()
        network.last.weight *= 0.1
        rest = [0.0] * (CHANNELS - 1)
        network.last.bias = nn.Parameter(torch.tensor([log(PRIOR / (1 - PRIOR)), *rest]))


def loss(found: Tensor, boxes: Tensor) -> Tensor:
    """Focal loss of the centres, and absolute errors of offset and size where it is warm; per tumour.

    found: (N, CHANNELS, H, W) of the network. boxes: (N, M, 4) float32 in pixels, NaN where an image has fewer.
    """
    heat, wanted = targets(boxes, found.shape[-1])
    logits = found[:, 0]
    # Alpha 2 and beta 4, as in the paper.
    near = functional.logsigmoid(logits) * (1 - torch.sigmoid(logits)) ** 2
    far = functional.logsigmoid(-logits) * torch.sigmoid(logits) ** 2 * (1 - heat) ** 4
    centres = heat == 1
    tumours = centres.sum().clamp(min=1)
    focal = -torch.where(centres, near, far).sum() / tumours
    weight = heat * (heat > WARM)
    errors = (found[:, 1:] - wanted).abs().sum(dim=1)
    return focal + (errors * weight).sum() / weight.sum().clamp(min=1)


def targets(boxes: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """(N, M, 4) -> heat (N, H, W), 1 at the cells of centres; (N, 4, H, W) what the other channels should say there."""
    known = torch.isfinite(boxes).all(dim=-1)
    edges = torch.nan_to_num(boxes) / STRIDE
    middle = (edges[..., :2] + edges[..., 2:]) / 2
    extent = (edges[..., 2:] - edges[..., :2]).clamp(min=1 / (2 * STRIDE))
    cell = middle.floor().clamp(0, size - 1)
    spread = (extent * SPREAD).clamp(min=MIN_SPREAD)
    at = torch.arange(size, device=boxes.device, dtype=boxes.dtype)
    # (N, M, 2, size) along x and along y.
    along = torch.exp(-(((at - cell[..., None]) / spread[..., None]) ** 2) / 2)
    each = along[:, :, 1, :, None] * along[:, :, 0, None, :] * known[:, :, None, None]
    heat, owner = each.max(dim=1)
    # Of every cell, what the box that warms it most wants: (N, 4, H, W).
    values = torch.cat([middle - 0.5, extent.log()], dim=-1)
    flat = owner.flatten(1)
    wanted = values.gather(1, flat[..., None].expand(-1, -1, 4)).transpose(1, 2)
    wanted = wanted.reshape(len(boxes), 4, size, size).clone()
    wanted[:, 0] -= at
    wanted[:, 1] -= at[:, None]
    return heat, wanted


def peaks(found: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The highest local maxima of the heat: scores (N, k) from high to low and boxes (N, k, 4) in pixels.

    k is count, or the number of cells if that is less. A score of 0 marks a place that is no maximum.
    """
    heat = torch.sigmoid(found[:, 0])
    highest = functional.max_pool2d(heat[:, None], 3, 1, 1)[:, 0]
    size = heat.shape[-1]
    only = torch.where(heat == highest, heat, torch.zeros_like(heat)).flatten(1)
    # A stable order, so that equal scores are told apart by their place on every machine.
    scores, order = only.sort(dim=1, descending=True, stable=True)
    scores, order = scores[:, :count], order[:, :count]
    values = found[:, 1:].flatten(2).gather(2, order[:, None].expand(-1, 4, -1)).transpose(1, 2)
    cells = torch.stack([order % size, order // size], dim=-1)
    middle = (cells + 0.5 + values[..., :2]) * STRIDE
    half = values[..., 2:].clamp(max=MAX_LOG).exp() * (STRIDE / 2)
    return scores, torch.cat([middle - half, middle + half], dim=-1)
