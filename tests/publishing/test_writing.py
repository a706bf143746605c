"""Writing a set: same input, same bytes; images, labels and further files, in a folder."""

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadInput, DamagedObject, DiskFull
from chestgan_core.imaging.pictures import png_of, to_grey
from chestgan_core.local.progress import Progress
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing import open_set
from chestgan_core.publishing.loose_images import write_images
from chestgan_core.publishing.reader.levels import Bits
from chestgan_core.publishing.reader.set_folder import SetFolder, read_set_folder
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.reader.tars import members
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.writing import image_tars
from chestgan_core.publishing.writing.contents import ExtraFile, SetContents, weights_file
from chestgan_core.publishing.writing.png import encode_pngs
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.publishing.writing.tar_writer import TarWriter
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import LoadedGenerator, load_generator, save_generator
from tests.publishing.hostile_sets import add_file


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_same_generator_and_seeds_give_the_same_bytes_and_version(
    ready: SetFolder,
    generator: LoadedGenerator,
    experiment: Experiment,
    tmp_path: Path,
    provenance: dict[str, str],
) -> None:
    again = write_set(generator, experiment, 20, 100, tmp_path / "again", provenance)
    assert digests(again.path) == digests(ready.path)
    assert again.version == ready.version
    assert re.fullmatch(r"[0-9a-f]{16}", again.version)


def test_other_seeds_and_another_provenance_are_another_version(
    ready: SetFolder,
    generator: LoadedGenerator,
    experiment: Experiment,
    tmp_path: Path,
    provenance: dict[str, str],
) -> None:
    seeds = write_set(generator, experiment, 20, 101, tmp_path / "seeds", provenance)
    facts = write_set(generator, experiment, 20, 100, tmp_path / "facts", {**provenance, "run": "r2"})
    assert len({ready.version, seeds.version, facts.version}) == 3


def test_image_k_is_the_image_of_seed_k_wherever_the_set_begins(
    ready: SetFolder,
    generator: LoadedGenerator,
    experiment: Experiment,
    tmp_path: Path,
    provenance: dict[str, str],
) -> None:
    later = write_set(generator, experiment, 3, 117, tmp_path / "later", provenance)
    rows, later_rows = (pq.read_table(one.path / "labels.parquet").to_pylist() for one in (ready, later))
    assert [row["sha256"] for row in rows[17:]] == [row["sha256"] for row in later_rows]
    assert [row["seed"] for row in later_rows] == [117, 118, 119]


def test_the_labels_and_the_card_say_which_class_each_image_was_to_show(
    experiment: Experiment, tmp_path: Path, provenance: dict[str, str]
) -> None:
    conditional = experiment.model_copy(update={"classes": ("A", "B", "G")})
    save_generator(tmp_path, build_generator(conditional), conditional)
    made = write_set(load_generator(tmp_path), conditional, 10, 100, tmp_path / "set", provenance)
    rows = pq.read_table(made.path / "labels.parquet").to_pylist()
    assert [row["class"] for row in rows] == list("BGABGABGAB")
    assert made.facts.images_per_class == {"A": 3, "B": 4, "G": 3}
    label = open_set(made.path)[2][1]
    assert (label["index"], label["seed"], label["class"], label["file"]) == (2, 102, "A", "000002.png")


@pytest.mark.parametrize(("bits", "mode", "kind"), [(8, "L", np.uint8), (16, "I;16", np.uint16)])
def test_images_are_grey_pngs_of_pixels_and_nothing_else_with_their_label_behind_them(
    bits: Bits,
    mode: str,
    kind: type,
    generator: LoadedGenerator,
    experiment: Experiment,
    provenance: dict[str, str],
    tmp_path: Path,
) -> None:
    write_set(generator, experiment, 20, 100, tmp_path, provenance, bits)
    units = generate(generator, range(100, 120)).numpy()[:, 0]
    with tarfile.open(tmp_path / "images-0000.tar") as archive:
        contents = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
        for entry in archive.getmembers():
            assert (entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) == (0, 0, 0, "", "")
    assert [*contents] == [f"{k:06d}.{end}" for k in range(20) for end in ("png", "json")]
    for k in range(20):
        png = contents[f"{k:06d}.png"]
        assert re.findall(rb"IHDR|IDAT|IEND|tEXt|iTXt|zTXt|tIME|pHYs|eXIf|gAMA", png) == [
            b"IHDR",
            b"IDAT",
            b"IEND",
        ]
        image = Image.open(io.BytesIO(png))
        assert image.mode == mode
        levels = np.array(image)
        assert levels.dtype == kind
        # The nearest level to what the network made, on the whole scale.
        top = 2**bits - 1
        assert np.abs(levels / top * 2 - 1 - units[k]).max() <= 1.01 / top
        assert json.loads(contents[f"{k:06d}.json"]) == {
            "boxes": None,
            "class": "",
            "index": k,
            "position": None,
            "seed": 100 + k,
            "sha256": hashlib.sha256(levels.astype(f"<u{bits // 8}").tobytes()).hexdigest(),
        }


def test_8_bits_are_the_grey_levels_of_every_picture_of_the_project(
    ready: SetFolder, generator: LoadedGenerator
) -> None:
    reader = SetReader(ready)
    expected = to_grey(generate(generator, range(100, 120)))
    assert all(np.array_equal(reader.levels(k), expected[k]) for k in range(20))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("image", ["noise", "flat", "ramp", "steps"])
def test_a_png_gives_back_its_levels_and_is_about_as_small_as_pillows(image: str, bits: Bits) -> None:
    top, random = 2**bits - 1, np.random.default_rng(0)
    levels = {
        "noise": random.integers(0, top, (3, 33, 31), endpoint=True),
        "flat": np.full((3, 33, 31), top),
        "ramp": np.broadcast_to(np.linspace(0, top, 31), (3, 33, 31)),
        "steps": np.broadcast_to((np.arange(33)[:, None] % 2) * top, (3, 33, 31)),
    }[image].astype(np.uint8 if bits == 8 else np.uint16)
    for png, expected in zip(encode_pngs(levels, bits), levels, strict=True):
        assert np.array_equal(np.array(Image.open(io.BytesIO(png))), expected)
        assert len(png) <= 1.2 * len(png_of(Image.fromarray(expected)))


def test_a_large_set_is_cut_into_several_tars_with_the_same_images(
    generator: LoadedGenerator,
    experiment: Experiment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    provenance: dict[str, str],
) -> None:
    whole = write_set(generator, experiment, 20, 5, tmp_path / "whole", provenance)
    monkeypatch.setattr(image_tars, "IMAGES_PER_TAR", 8)
    cut = write_set(generator, experiment, 20, 5, tmp_path / "cut", provenance)
    rows, in_one = (pq.read_table(one.path / "labels.parquet").to_pylist() for one in (cut, whole))
    assert [row["tar"] for row in rows] == ["images-0000.tar"] * 8 + ["images-0001.tar"] * 8 + [
        "images-0002.tar"
    ] * 4
    assert [row["sha256"] for row in rows] == [row["sha256"] for row in in_one]
    assert verify_set(cut.path).broken == {}
    assert set(cut.tars) == {"images-0000.tar", "images-0001.tar", "images-0002.tar"}


def test_further_files_know_what_was_made_before_them_and_are_part_of_the_version(
    ready: SetFolder,
    generator: LoadedGenerator,
    experiment: Experiment,
    tmp_path: Path,
    provenance: dict[str, str],
) -> None:
    seen: list[SetContents] = []

    def notes(contents: SetContents) -> bytes:
        seen.append(contents)
        return b"one"

    (tmp_path / "large").write_bytes(b"two")
    files: dict[str, ExtraFile] = {"notes.txt": notes, "large.bin": lambda contents: tmp_path / "large"}
    more = write_set(generator, experiment, 20, 100, tmp_path / "more", provenance, extra_files=files)
    assert (more.path / "notes.txt").read_bytes() + (more.path / "large.bin").read_bytes() == b"onetwo"
    (contents,) = seen
    assert set(contents.files) == {"images-0000.tar", "labels.parquet", "samples.png"}
    tar = contents.files["images-0000.tar"]
    assert tar.sha256 == hashlib.sha256((more.path / "images-0000.tar").read_bytes()).hexdigest()
    assert contents.samples_png == more.samples_png
    assert {"notes.txt", "large.bin"} < {more.name(item) for item in more.objects}
    assert more.version != ready.version
    assert verify_set(more.path).broken == {}


def test_only_the_generator_of_the_images_goes_along_with_them(
    generator: LoadedGenerator, experiment: Experiment, tmp_path: Path, provenance: dict[str, str]
) -> None:
    other = experiment.model_copy(update={"seed": 1})
    save_generator(tmp_path, build_generator(other), other)
    files = {"generator.safetensors": weights_file(tmp_path / "generator.safetensors")}
    with pytest.raises(BadInput, match="is not the generator of the images"):
        write_set(generator, experiment, 2, 0, tmp_path / "other", provenance, extra_files=files)
    made = write_set(
        load_generator(tmp_path), experiment, 2, 0, tmp_path / "own", provenance, extra_files=files
    )
    assert load_generator(made.path).sha256 == made.facts.model_sha256
    with safe_open(made.path / "generator.safetensors", framework="np") as file:
        (said,) = file.metadata().values()
    # What the metadata say of the model: the experiment, as its YAML file has it.
    assert json.loads(said) == other.model_dump(mode="json")


def test_a_tar_is_read_wherever_in_its_last_record_it_ends(tmp_path: Path) -> None:
    for blocks in range(1, 45):
        with tarfile.open(tmp_path / "some.tar", mode="w", format=tarfile.USTAR_FORMAT) as archive:
            add_file(archive, "one.png", bytes(512 * blocks))
        (found,) = members(tmp_path / "some.tar")
        assert found.bytes == 512 * blocks


def test_a_tar_has_the_bytes_that_tarfile_writes() -> None:
    for count in (1, 9, 10, 40):
        files = [(f"{k:06d}.{'png' if k % 2 else 'json'}", bytes(k * 517)) for k in range(count)]
        ours, theirs = io.BytesIO(), io.BytesIO()
        writer = TarWriter(ours)
        places = [writer.add(name, data) for name, data in files]
        writer.close()
        with tarfile.open(fileobj=theirs, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, data in files:
                add_file(archive, name, data)
        assert ours.getvalue() == theirs.getvalue()
        ours.seek(0)
        with tarfile.open(fileobj=ours) as archive:
            assert [entry.offset_data for entry in archive] == places


@pytest.mark.parametrize("broken", ["pixels", "label", "missing"])
def test_a_tar_that_is_not_what_was_generated_is_found_before_it_is_uploaded(
    broken: str, ready: SetFolder, generator: LoadedGenerator, tmp_path: Path
) -> None:
    with Progress("test", None, "images") as progress:
        (tar,) = image_tars.make_tars(generator, ready.facts, [0], tmp_path, progress)
    image_tars.require_intact(tar, ready.facts)
    data = bytearray(tar.path.read_bytes())
    if broken == "missing":
        data[tar.rows[7]["offset"] - 512 :] = bytes(1024)
    else:
        place = tar.rows[7]["offset"] + (
            60 if broken == "pixels" else 512 * -(-tar.rows[7]["bytes"] // 512) + 520
        )
        data[place] ^= 1
    tar.path.write_bytes(data)
    with pytest.raises(DamagedObject, match=r"generated|no label behind"):
        image_tars.require_intact(tar, ready.facts)


def test_a_folder_without_a_manifest_is_not_a_set_and_a_foreign_one_is_refused(
    ready: SetFolder, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="not a complete set"):
        read_set_folder(tmp_path)
    manifest = json.loads((ready.path / "manifest.json").read_text(encoding="utf-8"))
    del manifest["set"]["name"]
    (ready.path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(DamagedObject, match="not the manifest of a synthetic set"):
        read_set_folder(ready.path)


def test_rewriting_a_folder_first_takes_its_manifest_away(
    ready: SetFolder, generator: LoadedGenerator, experiment: Experiment
) -> None:
    with pytest.raises(KeyError):
        write_set(generator, experiment, 20, 100, ready.path, {})
    assert not (ready.path / "manifest.json").exists()


def test_plain_images_come_as_hounsfield_units_in_one_file_or_as_pictures(
    generator: LoadedGenerator, experiment: Experiment, tmp_path: Path
) -> None:
    written = write_images(generator, range(5, 8), tmp_path / "out" / "some.safetensors")
    write_images(generator, range(5, 8), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (
        tmp_path / "out" / "some.safetensors"
    ).read_bytes()
    with safe_open(tmp_path / "out" / "some.safetensors", framework="np") as file:
        slices = file.get_tensor("slices")
    images = generate(generator, range(5, 8))
    assert (slices.dtype, slices.shape) == (np.int16, (3, 64, 64))
    assert np.array_equal(slices, experiment.display_window.from_unit(images)[:, 0].numpy())
    assert (written["images"], written["first_seed"]) == (3, 5)
    write_images(generator, range(5, 8), tmp_path / "pictures")
    assert [path.name for path in sorted((tmp_path / "pictures").glob("[!.]*"))] == [
        f"seed-{seed:06d}.png" for seed in (5, 6, 7)
    ]
    with pytest.raises(BadInput, match="neither"):
        write_images(generator, range(5, 8), tmp_path / "some.zip")


def test_a_file_of_slices_is_the_one_that_safetensors_writes(
    generator: LoadedGenerator, tmp_path: Path
) -> None:
    write_images(generator, range(7), tmp_path / "some.safetensors")
    with safe_open(tmp_path / "some.safetensors", framework="np") as file:
        again = save({"slices": file.get_tensor("slices")}, file.metadata())
    assert (tmp_path / "some.safetensors").read_bytes() == again


@pytest.mark.parametrize("out", ["many.safetensors", "many"])
def test_more_images_than_fit_on_the_disk_are_refused_before_the_first(
    out: str, generator: LoadedGenerator, tmp_path: Path
) -> None:
    with pytest.raises(DiskFull, match=r"the disk has .* GB free, \d+\.\d+ GB are needed; .*smaller --count"):
        write_images(generator, range(3_000_000_000), tmp_path / out)
    assert list(tmp_path.iterdir()) == []


def test_seeds_out_of_range_are_refused_before_the_first_image(
    generator: LoadedGenerator, tmp_path: Path
) -> None:
    for seeds in (range(2**32 - 1, 2**32 + 1), range(-1, 3)):
        with pytest.raises(BadInput, match="is out of range"):
            write_images(generator, seeds, tmp_path / "some.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_are_not_replaced_by_images(generator: LoadedGenerator, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(save({"w": np.zeros(3)}))
    with pytest.raises(BadInput, match="is there, and holds no slices"):
        write_images(generator, range(2), tmp_path / "weights.safetensors")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "seed-000000.png").write_text("mine")
    with pytest.raises(BadInput, match="holds files that are not of images"):
        write_images(generator, range(2), tmp_path / "mine")
    write_images(generator, range(2), tmp_path / "some.safetensors")
    write_images(generator, range(4), tmp_path / "some.safetensors")
    assert len(load_file(tmp_path / "some.safetensors")["slices"]) == 4


def test_the_set_states_what_the_generator_was_trained_as_not_what_the_experiment_says_now(
    ready: SetFolder, generator: LoadedGenerator, tmp_path: Path, provenance: dict[str, str]
) -> None:
    edited = parse_experiment(
        {
            "dataset": "phantom",
            "window": "wide",
            "resolution": 32,
            "network": {"latent_dim": 9},
            "training": {"images": 100},
        },
        "tiny",
        "a test",
    )
    written = write_set(generator, edited, 20, 100, tmp_path / "edited", provenance)
    assert written.facts == ready.facts
    assert digests(written.path) == digests(ready.path)
