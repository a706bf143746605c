"""A set whose publisher means harm, and whose manifest, labels and hashes agree: what readers must see all the same."""

import json
import struct
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing import open_set
from chestgan_core.publishing.dicom_export.uids import checked_root
from chestgan_core.publishing.reader.png import decode_levels
from chestgan_core.publishing.reader.set_folder import GENERATOR, MAX_MANIFEST_BYTES, SetFolder, parse_set
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.reader.stream import stream_images
from chestgan_core.publishing.streaming import _read_range
from chestgan_core.publishing.writing.png import encode_pngs
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.training.weights import LoadedGenerator, load_generator, save_generator
from tests.publishing.hostile_sets import MANIFEST, TAR, entries, replace_tar, sealed


def streamed(folder: SetFolder, **options: object) -> list[int]:
    images = stream_images(folder, partial(_read_range, folder.path), **options)  # type: ignore[arg-type]
    return [label["index"] for _, label in images]


def test_a_stream_does_not_end_quietly_before_the_set_does(ready: SetFolder) -> None:
    changed = replace_tar(ready, entries(ready)[:10])  # five images of twenty
    with pytest.raises(DamagedObject, match="holds 5 of 20 images"):
        streamed(changed)
    with pytest.raises(DamagedObject, match="holds 5 of 20 images"):
        streamed(changed, shuffle_buffer=3)


def test_a_stream_gives_no_image_twice(ready: SetFolder) -> None:
    second = ready.path / "images-0001.tar"
    second.write_bytes((ready.path / TAR).read_bytes())
    manifest = json.loads((ready.path / MANIFEST).read_bytes())
    key = ready.manifest_key.replace(MANIFEST, second.name)
    manifest["objects"].append({"key": key})
    (ready.path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DamagedObject, match="is in two tars"):
        streamed(sealed(ready.path))


def part(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its right checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("place", [33, -12])
@pytest.mark.parametrize("side", [64, 9_000])
def test_a_png_has_one_header(side: int, place: int) -> None:
    png = encode_pngs(np.zeros((1, 64, 64), np.uint8), 8)[0]
    second = part(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0) + b"hidden")
    with pytest.raises(DamagedObject, match="of pixels and nothing else"):
        decode_levels(png[:place] + second + png[place:], 64, 8, "x.png")
    assert decode_levels(png, 64, 8, "x.png").shape == (64, 64)


def test_a_manifest_that_would_fill_the_memory_is_not_parsed(ready: SetFolder) -> None:
    text = b'{"a":[' + b"{}," * (MAX_MANIFEST_BYTES // 3) + b"{}]}"
    with pytest.raises(DamagedObject, match="is too large for the manifest of a set"):
        parse_set(text, ready.path, "manifest.json")


def test_hu_that_do_not_fit_into_16_bits_are_not_given_as_others(ready: SetFolder) -> None:
    text = (ready.path / MANIFEST).read_text().replace('"window_width":1500', '"window_width":70000.0')
    (ready.path / MANIFEST).write_text(text)
    changed = SetReader(sealed(ready.path))
    assert changed.facts.window_width == 70_000
    with pytest.raises(BadInput, match="beyond int16"):
        changed.hounsfield(0)
    assert changed.levels(0).shape == (64, 64)


def test_seeds_may_be_an_array(ready: SetFolder, generator: LoadedGenerator, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    save_generator(tmp_path / "model", generator.module, generator.experiment)
    (ready.path / GENERATOR).write_bytes((tmp_path / "model" / GENERATOR).read_bytes())
    images = open_set(ready.path, seeds=np.arange(98, 102), device="cpu")
    assert [label["seed"] for _, label in images] == [98, 99, 100, 101]
    assert images[2][1]["sha256"] == SetReader(ready).label(0)["sha256"]
    assert type(images[2][1]["seed"]) is int


@pytest.mark.parametrize("root", ["1.2.840.10008", "1.2.840.10008.5.1"])
def test_no_image_gets_an_identifier_of_the_dicom_standard(root: str) -> None:
    with pytest.raises(BadInput, match="is that of the DICOM standard"):
        checked_root(root)
    assert checked_root("1.2.840.100080") == "1.2.840.100080"


def test_a_generator_whose_images_are_no_numbers_makes_none(
    generator: LoadedGenerator, experiment: Experiment, provenance: dict[str, str], tmp_path: Path
) -> None:
    """Each weight is finite; the sums are not. As levels they would be black images, and somebody's set."""
    torch.manual_seed(0)
    network = build_generator(experiment)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1e30)
    save_generator(tmp_path, network, experiment)
    with pytest.raises(BadInput, match="NaN"):
        write_set(load_generator(tmp_path), experiment, 2, 0, tmp_path / "set", provenance)
    assert not (tmp_path / "set" / MANIFEST).exists()
