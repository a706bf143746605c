"""Pictures as slices of one size, by class."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chestgan_core.config.dataset import dataset_named
from chestgan_core.config.experiment import load_experiment, parse_experiment
from chestgan_core.errors import BadExperiment, BadInput, NotInStore
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.slices.image_slices import newest_image_slices
from chestgan_core.slices.shards import Shard, read_shard
from chestgan_core.slices.training_set import build_training_set
from chestgan_core.sources.images.collection import collect_images, open_images
from chestgan_core.sources.images.decoding import UnusableImage
from chestgan_core.sources.images.image_rows import ImageStatus
from chestgan_core.store.store import Store
from chestgan_core.training.data import load_slices
from tests.sources.images.pictures import declare, drawn, marked, put


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes in two splits, of different sizes."""
    declare(tmp_path / "datasets", monkeypatch)
    monkeypatch.setenv("TEST_IMAGES", str(tmp_path / "delivery"))
    files = {
        f"{split}/a/{seed}.png": drawn(seed, 90, 60)
        for split, seed in [("train", 1), ("train", 2), ("test", 3)]
    }
    files |= {f"{split}/b_T2/{seed}.png": drawn(seed, 50, 80) for split, seed in [("train", 4), ("test", 5)]}
    return put(tmp_path / "delivery", files)


def shards(store: Store, tmp_path: Path) -> dict[str, Shard]:
    found = newest_image_slices(store, dataset_named("pictures"))
    read = {}
    for name, artefact in found.items():
        files = store.fetch(artefact, tmp_path / "fetched" / name)
        read[name] = read_shard(next(path for path in files.values() if path.suffix == ".safetensors"))
    return read


def test_a_picture_becomes_a_square_with_its_whole_content_in_the_middle(root, store, tmp_path):
    collect_images(store, "pictures", tmp_path)
    found = shards(store, tmp_path)
    assert {name: shard.slices.shape for name, shard in found.items()} == {"a": (3, 32, 32), "b": (2, 32, 32)}
    wide, tall = found["a"].slices[0], found["b"].slices[0]
    # 90 x 60 becomes 32 x 21, 50 x 80 becomes 20 x 32.
    assert not wide[:5].any()
    assert not wide[26:].any()
    assert not tall[:, :6].any()
    assert not tall[:, 26:].any()
    assert wide[5:26].mean() > 50
    assert (found["a"].slices.min(), found["a"].slices.dtype) == (0, np.int16)
    assert found["a"].slices.max() <= 255


def test_small_details_are_averaged_not_skipped(root, store, tmp_path):
    contrast = np.linspace(20, 127, 320)[:, None]
    stripes = Image.fromarray((127 + np.tile([-1, 1], (320, 160)) * contrast).astype(np.uint8))
    put(root, {"train/a/stripes.png": stripes})
    collect_images(store, "pictures", tmp_path)
    slices = shards(store, tmp_path)["a"].slices
    # The window of the filter is cut off at the edges.
    assert any((abs(one[:, 2:-2].astype(int) - 127) <= 2).all() for one in slices)


def test_rows_name_the_source_of_a_slice(root, store, tmp_path):
    collect_images(store, "pictures", tmp_path)
    row = shards(store, tmp_path)["a"].rows[0]
    source = next(one for one in open_images(store, "pictures").rows if one.path == "test/a/3.png")
    assert (row.series_uid, row.histology, row.patient) == ("test", "a", source.patient)
    assert row.sop_uid == source.sha256[:32]
    assert (row.stored_rows, row.stored_columns) == (60, 90)
    assert (row.crop_top, row.crop_left, row.crop_rows, row.crop_columns) == (-15, 0, 90, 90)


def test_what_was_left_out_is_in_no_shard(root, store, tmp_path):
    put(root, {"test/a/again.png": marked(1), "train/a/copy.png": drawn(2, 90, 60)})
    stored = collect_images(store, "pictures", tmp_path)
    found = shards(store, tmp_path)
    assert sum(len(shard.slices) for shard in found.values()) == stored.selected == 5


def test_slices_are_made_once_and_anew_when_the_pictures_change(root, store, tmp_path):
    collect_images(store, "pictures", tmp_path)
    first = newest_image_slices(store, dataset_named("pictures"))
    again = newest_image_slices(store, dataset_named("pictures"))
    assert {name: one.sha256 for name, one in again.items()} == {
        name: one.sha256 for name, one in first.items()
    }
    put(root, {"train/b_T2/6.png": drawn(6)})
    collect_images(store, "pictures", tmp_path)
    assert newest_image_slices(store, dataset_named("pictures"))["b"].manifest["slices"] == 3


def test_without_pictures_the_asset_to_materialize_is_named(root, store):
    with pytest.raises(NotInStore, match="raw_images"):
        newest_image_slices(store, dataset_named("pictures"))


def test_a_training_set_takes_the_sides_of_the_folders(root, store, tmp_path):
    collect_images(store, "pictures", tmp_path)
    training_set = build_training_set(store, "pictures")
    held_out = training_set.fetch(store, "held-out", tmp_path / "held-out")
    assert {row.series_uid for path in held_out for row in read_shard(path).rows} == {"test"}
    assert "By the folders of the source" in training_set.card(store)


def test_a_flat_copy_is_split_by_picture(root, store, tmp_path, monkeypatch):
    flat = put(tmp_path / "flat", {f"a/{seed}.png": drawn(seed) for seed in range(12)})
    monkeypatch.setenv("TEST_IMAGES", str(flat))
    collect_images(store, "pictures", tmp_path)
    training_set = build_training_set(store, "pictures")
    sizes = [
        sum(len(read_shard(path).rows) for path in training_set.fetch(store, side, tmp_path / side))
        for side in ("train", "held-out")
    ]
    assert sum(sizes) == 12
    assert min(sizes) > 0
    assert "By patient: a hash" in training_set.card(store)


def test_the_grey_window_maps_black_and_white_to_the_ends(root, store, tmp_path):
    unit = WINDOWS["grey"].to_unit(np.array([0, 255], np.int16))
    assert unit.tolist() == [-1, 1]
    assert WINDOWS["grey"].from_unit(unit).tolist() == [0, 255]
    assert str(WINDOWS["grey"]) == "0 to 255 grey levels"


@pytest.mark.parametrize(
    ("dataset", "window", "remedy"),
    [
        ("chest_ct_scan_images", "lung", "choose grey"),
        ("chest_ct_scan_images", {"centre": 100, "width": 50}, "choose grey"),
        ("phantom", "grey", "lung or wide"),
    ],
)
def test_a_window_must_fit_what_the_dataset_holds(dataset, window, remedy):
    fields = {"dataset": dataset, "window": window, "training": {"images": 100}}
    with pytest.raises(BadExperiment, match=remedy):
        parse_experiment(fields, "wrong", "wrong.yaml")


@pytest.mark.parametrize("name", ["ct-scan-spectral-64", "xray-dcgan-64"])
def test_the_shipped_experiments_on_pictures_load(name):
    experiment = load_experiment(name)
    assert not dataset_named(experiment.dataset).has_hounsfield
    assert experiment.display_window.unit == "grey"


def test_a_network_sees_pictures_between_minus_one_and_one(root, store, tmp_path, monkeypatch):
    yaml = tmp_path / "datasets" / "pictures.yaml"
    yaml.write_text(yaml.read_text().replace("slice_size: 32", "slice_size: 64"))
    collect_images(store, "pictures", tmp_path)
    training_set = build_training_set(store, "pictures")
    fields = json.loads('{"dataset": "pictures", "window": "grey", "training": {"images": 100}}')
    experiment = parse_experiment(fields, "pictures", "pictures.yaml")
    images = load_slices(training_set.fetch(store, "train", tmp_path / "train"), experiment).images
    assert images.shape == (3, 1, 64, 64)
    assert (images.min(), images.max() > 0) == (-1, True)


def test_a_picture_that_an_older_version_used_is_named(root, store, tmp_path, monkeypatch):
    put(root, {"train/a/1.png": drawn(1), "test/a/2.png": drawn(2)})
    collect_images(store, "pictures", tmp_path)

    def refuses(data: bytes, suffix: str) -> None:
        raise UnusableImage(ImageStatus.RAW_VALUES)

    monkeypatch.setattr("chestgan_core.slices.image_slices.decode_image", refuses)
    with pytest.raises(BadInput, match=r"\.png: cannot be used: values without a known black and white"):
        newest_image_slices(store, dataset_named("pictures"))
