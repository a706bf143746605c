"""Reading a set as a torch Dataset."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from chestgan_core.cli.main import main
from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.publishing import open_set
from chestgan_core.publishing.opening import parse_address
from chestgan_core.publishing.reader.levels import sha256_of_levels
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.reader.torch_dataset import SyntheticSet
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.store.embedded import open_store
from chestgan_core.store.store import Store
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import LoadedGenerator


def test_an_item_is_an_image_and_its_label(ready: SetFolder, generator: LoadedGenerator) -> None:
    images = open_set(ready.path)
    image, label = images[3]
    assert len(images) == 20
    assert (image.shape, image.dtype) == ((1, 64, 64), torch.float32)
    assert label == {
        "index": 3,
        "seed": 103,
        "class": "",
        "sha256": sha256_of_levels(images.levels(3), 8),
        "file": "000003.png",
    }
    assert (image - generate(generator, [103])[0]).abs().max() <= 1 / 255 + 1e-6


def test_the_command_on_the_card_fetches_the_set_and_opens_it(
    ready: SetFolder, store_of_the_environment: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_set(store_of_the_environment, ready)
    card = (ready.path / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^chestgan sets (?:fetch|verify) .*$", card, re.MULTILINE)
    snippet = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert [main(shlex.split(command)[1:]) for command in commands] == [0, 0]
    made: dict[str, object] = {}
    exec(snippet, made)
    assert isinstance(made["image"], torch.Tensor)
    assert made["image"].shape == (1, 64, 64)
    label = made["label"]
    assert isinstance(label, dict)
    assert (label["index"], label["seed"], label["class"], label["file"]) == (0, 100, "", "000000.png")
    assert isinstance(made["hounsfield"], np.ndarray)
    assert made["hounsfield"].dtype == np.int16


def test_hounsfield_units_come_back_to_within_half_a_grey_level(
    ready: SetFolder, generator: LoadedGenerator, experiment: Experiment
) -> None:
    found = open_set(str(ready.path)).hounsfield(7)
    made = experiment.display_window.from_unit(generate(generator, [107]))[0, 0].numpy()
    assert (found.dtype, found.shape) == (np.int16, (64, 64))
    assert np.abs(found.astype(int) - made).max() <= experiment.display_window.width / 255 / 2 + 1


def test_data_loader_workers_read_the_same_images(ready: SetFolder) -> None:
    images = open_set(ready.path)
    loader: DataLoader[tuple[torch.Tensor, dict[str, torch.Tensor]]] = DataLoader(
        images, batch_size=8, num_workers=2, multiprocessing_context="fork"
    )
    batches = list(loader)
    assert torch.equal(
        torch.cat([image for image, _ in batches]), torch.stack([images[k][0] for k in range(20)])
    )
    assert torch.cat([label["seed"] for _, label in batches]).tolist() == list(range(100, 120))


def test_a_set_whose_tar_was_cut_short_cannot_be_opened(ready: SetFolder) -> None:
    tar = ready.path / "images-0000.tar"
    tar.write_bytes(tar.read_bytes()[:-512])
    with pytest.raises(DamagedObject, match=r"images-0000\.tar: has \d+ bytes, the manifest says \d+"):
        open_set(ready.path)


def test_an_image_that_was_changed_is_found_when_it_is_read(ready: SetFolder) -> None:
    images: SyntheticSet = open_set(ready.path)
    tar = ready.path / "images-0000.tar"
    data = bytearray(tar.read_bytes())
    data[512 + 60] ^= 1  # inside the first PNG
    tar.write_bytes(data)
    with pytest.raises(DamagedObject, match=r"000000\.png"):
        images[0]
    images[1]


def test_neither_a_folder_nor_an_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="neither a folder nor an s3:// address"):
        open_set(tmp_path / "nothing")
    with pytest.raises(BadInput, match="not the address of a set"):
        open_set("s3://bucket/prefix/raw/x")


@pytest.mark.parametrize("k", [3, -17, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_an_image_has_a_whole_number(k: Any, ready: SetFolder) -> None:
    images = open_set(ready.path)
    assert torch.equal(images[k][0], images[3][0])
    assert images.label(k)["seed"] == 103
    assert images.hounsfield(k).shape == (64, 64)


@pytest.mark.parametrize("k", [True, np.bool_(False), 1.0, "1", None, [0, 1]])
def test_what_is_no_whole_number_is_a_type_error(k: Any, ready: SetFolder) -> None:
    images = open_set(ready.path)
    for read in (images.__getitem__, images.label, images.grey, images.hounsfield):
        with pytest.raises(TypeError, match="the number of an image is a whole number"):
            read(k)


@pytest.mark.parametrize("k", [20, -21, 2**70, np.int64(10**10)])
def test_beyond_the_set_there_is_no_image(k: Any, ready: SetFolder) -> None:
    images = open_set(ready.path)
    for read in (images.__getitem__, images.label, images.grey):
        with pytest.raises(IndexError, match=r"there is no image .*: the set has 20"):
            read(k)


def test_a_slice_of_a_set_is_a_dataset(ready: SetFolder) -> None:
    images = open_set(ready.path)
    for part, seeds in (
        (images[0:3], [100, 101, 102]),
        (images[-2:], [118, 119]),
        (images[::-7], [119, 112, 105]),
        (images[5:5], []),
    ):
        assert [label["seed"] for _, label in part] == seeds
        assert len(part) == len(seeds)
    batch, _ = next(iter(DataLoader(images[4:8], batch_size=4)))
    assert batch.shape == (4, 1, 64, 64)
    assert len(list(iter(images))) == 20


@pytest.mark.parametrize(
    ("root", "name"),
    [
        ("s3://bucket", "exp1"),
        ("s3://bucket/synthetic", "exp1"),
        ("s3://bucket/synthetic/exp1", "exp1"),
        ("s3://bucket/synthetic/synthetic", "synthetic"),
        ("s3://bucket/a/synthetic/b", "synthetic"),
        ("s3://synthetic/synthetic", "a"),
    ],
)
@pytest.mark.parametrize("version", [None, "0123456789abcdef"])
@pytest.mark.parametrize("end", ["", "/"])
def test_an_address_is_taken_apart_as_it_was_printed(
    root: str, name: str, version: str | None, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{root}/synthetic/{name}" + (f"/{version}" if version else "") + end
    monkeypatch.setenv("CHESTGAN_STORE", root)
    assert parse_address(address) == (root, name, version)
    monkeypatch.delenv("CHESTGAN_STORE")
    if version:
        assert parse_address(address) == (root, name, version)


def test_a_store_whose_prefix_has_the_word_synthetic(
    ready: SetFolder, store_of_the_environment: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = f"{store_of_the_environment.uri()}/synthetic/exp1"
    monkeypatch.setenv("CHESTGAN_STORE", root)
    published = publish_set(Store.open(), ready)
    for address in (published.uri, published.uri.rpartition("/")[0]):
        assert len(open_set(address, cache=str(tmp_path / "cache"))) == 20


def test_an_address_in_the_embedded_store_is_found_as_commands_find_it(
    ready: SetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CHESTGAN_STORE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    with open_store(tmp_path / "home") as store:
        uri = publish_set(store, ready).uri
    assert len(open_set(uri, cache=tmp_path / "cache")) == 20
