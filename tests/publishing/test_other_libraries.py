"""Sets and their forms, opened by libraries that know nothing of chestgan: images and labels arrive as they are."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from chestgan_core.documents.front_matter import front_matter
from chestgan_core.publishing.forms.convert import convert_set
from chestgan_core.publishing.reader.levels import hounsfield_of
from chestgan_core.publishing.writing.documents import card_facts
from chestgan_core.publishing.writing.hub_fields import hub_fields
from tests.publishing import form_images

BITS = pytest.mark.parametrize("bits", [8, 16])
# The first box, and the first image of which nothing is known, come late: a loader that guesses the types from the
# first images must not stumble over them, and must not read one as the other.
BOXES = (0, 0, 0, 0, 0, 0, None, 1)


@pytest.fixture(scope="module", params=[8, 16], ids=["8-bit", "16-bit"])
def tars(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder with two tars, as a set has them, and its facts."""
    of = form_images.facts(images=1012, bits=request.param)
    return form_images.made(tmp_path_factory.mktemp("made") / "tar", of, boxes=BOXES), of


def expected(of: Any) -> list[tuple[Any, Any]]:
    return [*form_images.items(of, BOXES)]


def test_hugging_face_reads_images_and_labels(
    tars: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import Features, List, Value, load_dataset
    from datasets import Image as Picture

    folder, of = tars
    label = {"index": Value("int64"), "seed": Value("int64"), "class": Value("string")}
    label |= {"boxes": List(List(Value("float64"))), "position": Value("float64"), "sha256": Value("string")}
    text = Value("string")
    rows = load_dataset(
        "webdataset",
        data_files={"train": str(folder / "*.tar")},
        split="train",
        features=Features({"png": Picture(), "json": label, "__key__": text, "__url__": text}),
        cache_dir=str(tmp_path),
    )
    assert len(rows) == 1012
    for row, (levels, said) in zip(rows, expected(of), strict=True):
        assert np.array_equal(np.array(row["png"]), levels)
        assert (row["json"], row["__key__"]) == (said, f"{said['index']:06d}")


def test_hugging_face_finds_the_types_of_labels_in_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    of = form_images.facts(images=9)
    folder = form_images.made(tmp_path / "set", of, boxes=BOXES)
    card = card_facts(of, {}, {"source": "numbers", "source_licence": "none needed"}, {})
    (folder / "README.md").write_text(front_matter(hub_fields(card)))
    rows = load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["json"] for row in rows] == [said for _, said in expected(of)]


def test_webdataset_reads_pairs_of_image_and_label(tars: tuple[Path, Any]) -> None:
    import webdataset

    folder, of = tars
    urls = [str(path) for path in sorted(folder.glob("*.tar"))]
    kind = "l8" if of.bits == 8 else webdataset.handle_extension("png", lambda data: _pixels(data))
    pairs = webdataset.WebDataset(urls, shardshuffle=False).decode(kind).to_tuple("png", "json")
    found = 0
    for (image, label), (levels, said) in zip(pairs, expected(of), strict=True):
        assert (image.dtype, label) == (levels.dtype, said)
        assert np.array_equal(image, levels)
        found += 1
    assert found == 1012


def _pixels(png: bytes) -> Any:
    return np.array(Image.open(io.BytesIO(png)))


def test_tarfile_and_pillow_read_images_and_labels(tars: tuple[Path, Any]) -> None:
    folder, of = tars
    items = iter(expected(of))
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            for entry in archive:
                file = archive.extractfile(entry)
                assert file is not None
                if entry.name.endswith(".png"):
                    image = _pixels(file.read())
                else:
                    levels, said = next(items)
                    assert json.loads(file.read()) == said
                    assert np.array_equal(image, levels)
    assert next(items, None) is None


class MedMnistDataset(torch.utils.data.Dataset[tuple[Any, Any]]):
    """What loaders of MedMNIST do with a file: six arrays by their names, labels as whole numbers."""

    def __init__(self, path: Path, split: str) -> None:
        arrays = np.load(path, mmap_mode="r", allow_pickle=False)
        self.images, self.labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]

    def __len__(self) -> int:
        return int(self.images.shape[0])

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return torch.from_numpy(self.images[index].astype(np.float32))[None], self.labels[index].astype(int)


@BITS
def test_a_loader_of_medmnist_reads_the_npz(bits: int, tmp_path: Path) -> None:
    of = form_images.facts(images=9, bits=bits)
    form_images.made(tmp_path / "npz", of, "npz", BOXES)
    train, val, test = (
        MedMnistDataset(tmp_path / "npz" / "set.npz", split) for split in ("train", "val", "test")
    )
    assert (len(train), len(val), len(test)) == (9, 0, 0)
    [(images, labels)] = torch.utils.data.DataLoader(train, batch_size=9)
    assert (images.shape, labels.shape, labels.dtype) == ((9, 1, 8, 8), (9, 1), torch.int64)
    for image, number, (levels, said) in zip(images, labels, expected(of), strict=True):
        assert np.array_equal(image[0].numpy(), levels)
        assert of.classes[number] == said["class"]


def test_numpy_needs_no_pickle_for_anything_in_an_npz(tmp_path: Path) -> None:
    of = form_images.facts(images=9)
    form_images.made(tmp_path / "npz", of, "npz", BOXES)
    with np.load(tmp_path / "npz" / "set.npz", allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    assert found["class_names"].tolist() == ["A", "B", "C"]
    assert found["train_seed"].tolist() == [*range(100, 109)]
    assert found["train_box_image"].tolist() == [7]
    assert found["train_boxes"].tolist() == expected(of)[7][1]["boxes"]
    assert found["train_boxes_known"].tolist() == [k != 6 for k in range(9)]
    assert [None if np.isnan(one) else one for one in found["train_position"]] == [
        said["position"] for _, said in expected(of)
    ]
    assert [one.decode() for one in found["train_sha256"]] == [said["sha256"] for _, said in expected(of)]
    assert json.loads(str(found["about"]))["set"]["name"] == "made"


@BITS
def test_monai_reads_the_folder_of_png_by_its_table(bits: int, tmp_path: Path) -> None:
    import csv

    from monai.data import DataLoader, Dataset
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, ScaleIntensityRanged

    of = form_images.facts(images=9, bits=bits)
    folder = form_images.made(tmp_path / "png", of, "png", BOXES)
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as table:
        rows = [{"image": str(folder / row["file"]), "class": row["class"]} for row in csv.DictReader(table)]
    transforms = Compose(
        [
            LoadImaged(keys="image", reader="PILReader", reverse_indexing=False),
            EnsureChannelFirstd(keys="image"),
            ScaleIntensityRanged(keys="image", a_min=0, a_max=2**bits - 1, b_min=-1350, b_max=150),
        ]
    )
    [batch] = DataLoader(Dataset(rows, transforms), batch_size=9)
    assert batch["image"].shape == (9, 1, 8, 8)
    for image, shown, (levels, said) in zip(batch["image"], batch["class"], expected(of), strict=True):
        assert shown == said["class"]
        assert np.abs(image[0].numpy() - hounsfield_of(levels, of.window, bits)).max() <= 0.5 + 1e-3


def test_a_file_in_hounsfield_units_is_an_array_of_them(tmp_path: Path) -> None:
    of = form_images.facts(images=3)
    form_images.made(tmp_path / "tar", of)
    convert_set(tmp_path / "tar", "hounsfield", tmp_path / "hu")
    images = np.load(tmp_path / "hu" / "hounsfield.npz")["train_images"]
    assert (images.dtype, images.min(), images.max()) == (np.int16, -1350, 150)


def test_the_tars_are_read_with_tarfile_and_pillow_alone(tmp_path: Path) -> None:
    """In a Python that has none of ours on its path."""
    of = form_images.facts(images=3)
    folder = form_images.made(tmp_path / "tar", of)
    program = (
        "import io, json, sys, tarfile\n"
        "from PIL import Image\n"
        "tar = tarfile.open(sys.argv[1])\n"
        "label = json.load(tar.extractfile('000002.json'))\n"
        "image = Image.open(io.BytesIO(tar.extractfile('000002.png').read()))\n"
        "print(label['seed'], image.mode, image.size, 'chestgan_core' in sys.modules)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program, str(folder / "images-0000.tar")],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
        check=True,
    )
    assert ran.stdout == "102 L (8, 8) False\n"
