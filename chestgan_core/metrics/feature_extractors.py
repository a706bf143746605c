"""What turns images into feature vectors, on which the distances are measured: networks, and radiomic features.

In: (N, 1, H, W) float32 images in [-1, 1]. Out: (N, d) float32 features. Both sides of a comparison go through the same
extractor, hence through the same resize and grey levels; its id names network, weights and preprocessing, because a
distance means nothing without them.
"""

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from chestgan_core.errors import NotAvailable, UnknownName, nearest
from chestgan_core.imaging.pretrained import LITE_SIZES, efficientnet_grey, efficientnet_lite, inception_v3
from chestgan_core.imaging.windows import Window
from chestgan_core.local.progress import Progress
from chestgan_core.metrics.radiomics import Radiomics

# Raise when resize, grey levels or pooling change: features of two versions must not be compared.
PREPROCESSING = 1
# A fixed batch, the last one padded: the features of an image then do not depend on how many others there are, and
# memory does not grow with N.
BATCH = 16


class Extractor(Protocol):
    """What a distance needs of a feature network, or of what stands in its place.

    id: name, weights or version, and preprocessing: all that its features depend on. dimension: d. about: one line for
    the report.
    """

    id: str
    dimension: int
    about: str

    def features(self, images: Tensor, label: str | None = "features") -> NDArray[np.float32]:
        """(N, 1, H, W) float32 in [-1, 1] to (N, d) float32; deterministic on one device. label: of the progress; None
        shows none.
        """
        ...

    def comparable(
        self, features: NDArray[np.float32], reference: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(N, d) features as distances take them. reference: (M, d) features of real images, whose spread is the unit
        of each feature where the features have units; a network's are returned as they are.
        """
        ...

    def class_logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, d) features to (N, classes) logits of the network's own classes. Raises NotAvailable: it has none."""
        ...


class NetworkExtractor:
    """An Extractor from a frozen network that maps (B, 3, size, size) to (B, d).

    normalize: grey levels of [-1, 1] to what the network was trained on, element by element. classifier: the layer that
    follows the features, where the network has one.
    """

    def __init__(
        self, network: nn.Module, id: str, dimension: int, about: str, size: int,
        normalize: Callable[[Tensor], Tensor], device: torch.device, classifier: nn.Linear | None = None,
    ) -> None:  # fmt: skip
        # channels_last: 1.3 to 2 times the images/s of the default layout in depthwise convolutions on CPU.
        frozen = network.eval().requires_grad_(False).to(device)
        self._network = frozen.to(memory_format=torch.channels_last)
        self.id, self.dimension, self.about = id, dimension, about
        self._size, self._normalize, self._device, self._classifier = size, normalize, device, classifier

    @torch.inference_mode()
    def features(self, images: Tensor, label: str | None = "features") -> NDArray[np.float32]:
        """(N, 1, H, W) float32 in [-1, 1] to (N, d) float32."""
        if images.ndim != 4 or images.shape[1] != 1:
            raise ValueError(f"images must be (N, 1, H, W), not {tuple(images.shape)}")
        out = np.empty((len(images), self.dimension), dtype=np.float32)
        progress = None if label is None else Progress(label, total=len(images), unit="images")
        with progress or nullcontext():
            for start in range(0, len(images), BATCH):
                batch = images[start : start + BATCH]
                count = len(batch)
                if count < BATCH:
                    batch = torch.cat([batch, batch[-1:].expand(BATCH - count, -1, -1, -1)])
                out[start : start + count] = self._network(self._prepare(batch))[:count].float().cpu().numpy()
                if progress:
                    progress.step(count)
        return out

    def comparable(
        self, features: NDArray[np.float32], reference: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The features as they are."""
        return features

    def class_logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, d) features to (N, classes) logits. Raises NotAvailable: the network has no classes."""
        if self._classifier is None:
            remedy = f"measure with one of {', '.join(EXTRACTORS)}"
            raise NotAvailable(f"extractor {self.id}", "it has no classification layer", remedy)
        weight, bias = (values.detach().cpu().numpy() for values in self._classifier.parameters())
        logits: NDArray[np.float32] = features @ weight.T + bias
        return logits

    def _prepare(self, batch: Tensor) -> Tensor:
        """One antialiased resize, the network's grey levels, and the one channel three times."""
        batch = batch.to(self._device, torch.float32).clamp(-1, 1)
        resized = functional.interpolate(
            batch, size=(self._size, self._size), mode="bilinear", align_corners=False, antialias=True
        )
        return self._normalize(resized).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def open_extractor(
    name: str = "efficientnet-lite0", device: torch.device | str = "cpu", window: Window | None = None
) -> Extractor:
    """The extractor of that name.

    Args:
        name: efficientnet-lite0 or -lite2 (their weights come with packages), inception-v3 (of torchvision), or
            radiomics (no network).
        device: Where to compute; radiomics do it on the CPU.
        window: Through which the images are seen; radiomics find the lungs by it. Networks do without.

    Returns:
        An extractor: `features(images)` from (N, 1, H, W) float32 in [-1, 1] to (N, d) float32.

    Raises:
        UnknownName: There is no such extractor.
        NotAvailable: Its weights are not on this machine; the message says how to get them.

    Examples:
        >>> extractor = open_extractor("efficientnet-lite0")
        >>> extractor.features(torch.zeros(2, 1, 64, 64), label=None).shape
        (2, 1280)
    """
    if name not in EXTRACTORS:
        raise UnknownName(f"extractor {name}", "is not known", nearest(name, EXTRACTORS))
    return EXTRACTORS[name](torch.device(device), window)


def _efficientnet_lite(number: Literal[0, 2], device: torch.device, _: Window | None) -> Extractor:
    """EfficientNet-Lite, ImageNet, 1280 features. Not Lite1: discriminators train on its features."""
    network, weights = efficientnet_lite(number)

    class Pooled(nn.Module):
        def __init__(self, network: Any) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            maps: Tensor = self.network.extract_features(x)  # (B, 1280, H / 32, W / 32)
            return maps.mean(dim=(2, 3))

    return NetworkExtractor(
        Pooled(network),
        id=_identity(f"efficientnet-lite{number}", weights),
        dimension=1280,
        about=f"EfficientNet-Lite{number} trained on ImageNet photographs; 1280 features after pooling",
        size=LITE_SIZES[number],
        normalize=efficientnet_grey,
        device=device,
        classifier=network._fc,
    )


def _inception_v3(device: torch.device, _: Window | None) -> Extractor:
    """InceptionV3, torchvision's ImageNet weights, 2048 features: no published FID compares."""
    network, weights = inception_v3()
    classifier = network.fc
    network.fc = nn.Identity()
    return NetworkExtractor(
        network,
        id=_identity("inception-v3-torchvision", weights),
        dimension=2048,
        about="InceptionV3 (torchvision) trained on ImageNet photographs; 2048 features after pooling",
        size=299,
        normalize=lambda unit: unit,
        device=device,
        classifier=classifier if isinstance(classifier, nn.Linear) else None,
    )


EXTRACTORS: dict[str, Callable[[torch.device, Window | None], Extractor]] = {
    "efficientnet-lite0": partial(_efficientnet_lite, 0),
    "efficientnet-lite2": partial(_efficientnet_lite, 2),
    "inception-v3": _inception_v3,
    "radiomics": lambda _, window: Radiomics(window),
}


def _identity(name: str, weights: Path) -> str:
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{name}:{digest[:12]}:preprocessing-{PREPROCESSING}"
