"""Reading a set as a torch Dataset."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from chestgan_core.cli.main import main
from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.publishing import open_set
from chestgan_core.publishing.set_folder import SetFolder
from chestgan_core.publishing.torch_dataset import SyntheticSet
from chestgan_core.publishing.uploading import publish_set
from chestgan_core.store.store import Store
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import LoadedGenerator


def test_an_item_is_an_image_and_its_label(ready: SetFolder, generator: LoadedGenerator) -> None:
    images = open_set(ready.path)
    image, label = images[3]
    assert len(images) == 20
    assert (image.shape, image.dtype) == ((1, 64, 64), torch.float32)
    assert label == {"index": 3, "seed": 103, "class": "", "file": "000003.png"}
    assert (image - generate(generator, [103])[0]).abs().max() <= 1 / 255 + 1e-6


def test_the_command_on_the_card_fetches_the_set_and_opens_it(
    ready: SetFolder, store_of_the_environment: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_set(store_of_the_environment, ready)
    card = (ready.path / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^    (chestgan .*)$", card, re.MULTILINE)
    (snippet,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(shlex.split(command)[1:]) == 0
    made: dict[str, object] = {}
    exec(snippet, made)
    assert isinstance(made["image"], torch.Tensor)
    assert made["image"].shape == (1, 64, 64)
    assert made["label"] == {"index": 0, "seed": 100, "class": "", "file": "000000.png"}
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
