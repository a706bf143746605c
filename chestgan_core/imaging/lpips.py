"""How alike two images look to a network: the distance of Zhang et al., "The Unreasonable Effectiveness of Deep
Features as a Perceptual Metric" (CVPR 2018).

In: (N, 1, H, W) float32 images in [-1, 1]. Out: (N, d) float32 vectors whose squared Euclidean distance is the
perceptual distance, so that N images are compared with R references by one product of matrices.

The feature maps of several layers are normalized to unit vectors at each position; squared differences are weighted
per channel, averaged over the positions of a layer and summed over the layers. `lpips-alex` and `lpips-vgg` are LPIPS
0.1: AlexNet and VGG16 with the weights of torchvision and the channel weights that the authors fitted to people's
judgements. `efficientnet-lite0` is the same construction on another network without fitted weights (their "baseline"
variant), averaged over its layers: it is LPIPS-style, but not LPIPS, and its numbers compare with no published ones.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from chestgan_core.errors import NotAvailable, UnknownName, nearest
from chestgan_core.imaging.pretrained import efficientnet_grey, efficientnet_lite, torchvision_weights

SIZE = 224  # all networks were trained on 224 x 224 pixels, and the thesis system measures there
BATCH = 16
_EPSILON = 1e-10
# LPIPS 0.1 maps [-1, 1] to what torchvision's networks were trained on.
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)

Backbone: TypeAlias = Literal["alex", "vgg"]


@dataclass(frozen=True)
class _Torchvision:
    """A network of torchvision under LPIPS. file: of its weights. layers: those of `features` that are compared, by
    number. batch: images at once.
    """

    model: str
    file: str
    layers: tuple[int, ...]
    batch: int


_BACKBONES: dict[Backbone, _Torchvision] = {
    "alex": _Torchvision("alexnet", "alexnet-owt-7be5be79.pth", (1, 4, 7, 9, 11), BATCH),
    # An image has a vector of 6,121,472 numbers, 24 MB.
    "vgg": _Torchvision("vgg16", "vgg16-397923af.pth", (3, 8, 15, 22, 29), 4),
}

Maps = list[Tensor]


class PerceptualNetwork:
    """A network whose feature vectors have a perceptual distance. id: network and sha256 of its weights: a threshold
    holds for one of them only. batch: images at once.

    maps: (B, 3, 224, 224) in [-1, 1] -> feature maps; weights: for each layer those of its channels, (C,).
    """

    def __init__(
        self, id: str, maps: Callable[[Tensor], Maps], weights: list[Tensor] | None, batch: int = BATCH
    ) -> None:
        self.id, self.batch = id, batch
        self._maps, self._weights = maps, weights

    @torch.inference_mode()
    def vectors(self, images: Tensor) -> np.ndarray:
        """(N, 1, H, W) float32 in [-1, 1] -> (N, d) float32; d is 344,176 for EfficientNet-Lite0 (1.4 MB per image) and
        6,121,472 for VGG16.
        """
        if images.ndim != 4 or images.shape[1] != 1:
            raise ValueError(f"images must be (N, 1, H, W), not {tuple(images.shape)}")
        found = [
            self._batch(images[start : start + self.batch]) for start in range(0, len(images), self.batch)
        ]
        return np.concatenate(found) if found else np.empty((0, 0), np.float32)

    def _batch(self, batch: Tensor) -> np.ndarray:
        resized = functional.interpolate(
            batch.clamp(-1, 1), size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True
        )
        parts = []
        # channels_last: 1.3 to 2 times the images/s of the default layout in depthwise convolutions on CPU.
        maps = self._maps(resized.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last))
        for layer, features in enumerate(maps):
            unit = features / (features.square().sum(1, keepdim=True).sqrt() + _EPSILON)
            places = features.shape[2] * features.shape[3]
            if self._weights is None:
                unit *= (1 / (places * len(maps))) ** 0.5
            else:
                unit *= (self._weights[layer].clamp(min=0) / places).sqrt()[None, :, None, None]
            parts.append(unit.flatten(1))
        together: np.ndarray = torch.cat(parts, 1).numpy()
        return together


def distances(vectors: np.ndarray, references: np.ndarray) -> np.ndarray:
    """(N, d) and (R, d) -> (N, R) perceptual distances, at least 0."""
    # numpy sums pairwise here; a plain running sum of 344,176 squares is 0.02 % too small in float32.
    squares = np.square(vectors).sum(1)[:, None] + np.square(references).sum(1)
    found: np.ndarray = np.maximum(squares - 2 * vectors @ references.T, 0)
    return found


def open_perceptual_network(name: str) -> PerceptualNetwork:
    """The network of that name. Raises UnknownName, NotAvailable (its weights are not installed)."""
    if name not in NETWORKS:
        raise UnknownName(f"network {name}", "is not known", nearest(name, NETWORKS))
    return NETWORKS[name]()


def _efficientnet() -> PerceptualNetwork:
    network, weights = efficientnet_lite(0)

    def maps(images: Tensor) -> Maps:
        """The last maps of each of the five sizes, 112 x 112 to 7 x 7."""
        x = network._swish(network._bn0(network._conv_stem(efficientnet_grey(images))))
        found: Maps = []
        for block in network._blocks:
            further = block(x)
            if further.shape[-1] < x.shape[-1]:
                found.append(x)
            x = further
        return [*found, x]

    return PerceptualNetwork(_identity("efficientnet-lite0", weights), maps, None)


def _lpips(name: Backbone) -> PerceptualNetwork:
    backbone, (weights, fitted) = _BACKBONES[name], _lpips_weights(name)
    channels: dict[str, Tensor] = torch.load(fitted, map_location="cpu", weights_only=True)
    from torchvision.models import get_model

    with torch.device("meta"):  # the 138 million weights of VGG16 need not be drawn first
        network = get_model(backbone.model, weights=None)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True), assign=True)
    layers = network.features[: max(backbone.layers) + 1].eval().requires_grad_(False)
    shift, scale = (torch.tensor(numbers)[None, :, None, None] for numbers in (_SHIFT, _SCALE))

    def maps(images: Tensor) -> Maps:
        x = (images - shift) / scale
        found = []
        for number, layer in enumerate(layers):
            x = layer(x)
            if number in backbone.layers:
                found.append(x.clone())  # the next layer may work in place
        return found

    channel_weights = [channels[f"lin{at}.model.1.weight"].flatten() for at in range(len(backbone.layers))]
    return PerceptualNetwork(lpips_id(name), maps, channel_weights, backbone.batch)


def lpips_id(backbone: Backbone) -> str:
    """The id of LPIPS 0.1 on this network, without loading it. Raises NotAvailable."""
    return _identity(f"lpips-0.1-{backbone}", _lpips_weights(backbone)[0])


def _lpips_weights(name: Backbone) -> tuple[Path, Path]:
    """The files of the network, and of what was fitted to judgements."""
    weights = torchvision_weights(f"network lpips-{name}", _BACKBONES[name].file)
    # Of the package only its fitted weights are used (BSD-2-Clause): one number per channel and layer.
    package = importlib.util.find_spec("lpips")
    if package is None or not package.submodule_search_locations:
        raise NotAvailable(f"network lpips-{name}", "its fitted weights are not here", "pip install lpips")
    return weights, Path(package.submodule_search_locations[0]) / "weights" / "v0.1" / f"{name}.pth"


def _identity(name: str, weights: Path) -> str:
    from chestgan_core.store.artefacts import sha256_of

    return f"{name}:{sha256_of(weights)[:12]}"


NETWORKS: dict[str, Callable[[], PerceptualNetwork]] = {
    "efficientnet-lite0": _efficientnet,
    "lpips-alex": partial(_lpips, "alex"),
    "lpips-vgg": partial(_lpips, "vgg"),
}


def open_lpips(backbone: Backbone = "alex") -> PerceptualNetwork:
    """LPIPS 0.1 on AlexNet or VGG16. Raises NotAvailable: its weights are not installed; says where to put them."""
    return open_perceptual_network(f"lpips-{backbone}")


def perceptual_distances(first: Tensor, second: Tensor, network: PerceptualNetwork) -> NDArray[np.float64]:
    """first, second: (N, 1, H, W) float32 in [-1, 1] -> (N,) distances, 0 for equal images.

    Memory is that of one batch, whatever N is.
    """
    if first.shape != second.shape:
        raise ValueError(f"pairs must have one shape, not {tuple(first.shape)} and {tuple(second.shape)}")
    found = [np.empty(0)]
    for start in range(0, len(first), network.batch):
        part = slice(start, start + network.batch)
        ones, others = (network.vectors(images[part].cpu()) for images in (first, second))
        found.append(np.square(ones - others).sum(axis=1, dtype=np.float64))
    return np.concatenate(found)
