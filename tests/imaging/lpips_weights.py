"""Weights of LPIPS as they lie on a machine: a network of torchvision in its cache, channel weights in the package.

Both are drawn at random: no test downloads anything.
"""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from chestgan_core.imaging.lpips import Backbone

FILES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
MODELS = {"alex": "alexnet", "vgg": "vgg16"}
CHANNELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}


def install_lpips(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: Backbone
) -> tuple[nn.Module, list[Tensor]]:
    """Put the weights into the folder, where they are found; gives the network and the channel weights."""
    from torchvision.models import get_model

    monkeypatch.setenv("TORCH_HOME", str(folder))
    weights, package = folder / "hub" / "checkpoints" / FILES[name], folder / "packages" / "lpips"
    fitted = package / "weights" / "v0.1" / f"{name}.pth"
    for file in (weights, fitted):
        file.parent.mkdir(parents=True)
    random = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        network = get_model(MODELS[name], weights=None)
    drawn = {}
    for key, tensor in network.state_dict().items():
        # The classifiers are most of the bytes, and LPIPS does not use them: stored as views of one number.
        used = key.startswith("features")
        scale = 1.4 * (tensor[0].numel() if tensor.ndim > 1 else 1) ** -0.5
        drawn[key] = (
            scale * torch.randn(tensor.shape, generator=random)
            if used
            else torch.zeros(()).expand(tensor.shape)
        )
    network.load_state_dict(drawn, assign=True)
    torch.save(drawn, weights)
    channels = [torch.rand(1, count, 1, 1, generator=random) for count in CHANNELS[name]]
    torch.save({f"lin{at}.model.1.weight": weight for at, weight in enumerate(channels)}, fitted)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, "lpips", raising=False)
    return network, [weight.flatten() for weight in channels]
