"""Whose an image is: found by what its file says or by its pixels, and made again by the model that it names."""

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, PngImagePlugin

from chestgan_core.cli.main import main
from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.publishing.dicom_export.export import export_dicom
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.reader.tars import members, read_member
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.publishing.whose.given import read_given
from chestgan_core.publishing.whose.made_again import compare
from chestgan_core.publishing.whose.whose import Whose, whose
from chestgan_core.publishing.writing.contents import weights_file
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from chestgan_core.training.weights import LoadedGenerator, save_generator
from tests.publishing.boxed_sets import write_boxed_set


@pytest.fixture(scope="module")
def with_weights(
    generator: LoadedGenerator,
    experiment: Experiment,
    provenance: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> SetFolder:
    """A set of six images that publishes its generator; not to be changed."""
    folder = tmp_path_factory.mktemp("weights")
    save_generator(folder, generator.module, generator.experiment)
    weights = {"generator.safetensors": weights_file(folder / "generator.safetensors")}
    return write_set(generator, experiment, 6, 100, folder / "set", provenance, extra_files=weights)


@pytest.fixture(scope="module")
def dicom(with_weights: SetFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "dicom"
    export_dicom(with_weights.path, folder)
    return folder


@pytest.fixture
def published(store: Store, with_weights: SetFolder) -> Store:
    publish_set(store, with_weights)
    return store


def png_of_set(ready: SetFolder, k: int, path: Path) -> Path:
    found = {member.name: member for member in members(ready.path / "images-0000.tar")}
    path.write_bytes(read_member(found[f"{k:06d}.png"]))
    return path


def test_a_png_and_a_dicom_file_of_a_set_are_found_by_their_pixels_and_made_again(
    published: Store, with_weights: SetFolder, dicom: Path, tmp_path: Path
) -> None:
    for path in (png_of_set(with_weights, 3, tmp_path / "renamed.png"), dicom / "000003.dcm"):
        found = whose(published, path, "cpu")
        assert (found.by, found.set, found.version) == ("sha256", "tiny", with_weights.version)
        assert (found.index, found.seed, found.shown) == (3, 103, "")
        assert found.model_sha256 == with_weights.facts.model_sha256
        assert found.compared.verdict == "same"
        assert found.as_json()["exit_status"] == 0
        assert found.line().splitlines()[1] == "made again by the model on cpu: the same, every level"


def test_what_an_archive_removed_from_a_dicom_file_is_found_by_its_pixels(
    published: Store, dicom: Path, tmp_path: Path
) -> None:
    file = pydicom.dcmread(dicom / "000002.dcm")
    del file.ContributingEquipmentSequence, file.DerivationDescription, file.ImageComments
    file.PatientID = "of an archive"
    file.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    file.save_as(tmp_path / "stripped.dcm", implicit_vr=True)
    found = whose(published, tmp_path / "stripped.dcm", "cpu")
    assert (found.by, found.index, found.compared.verdict) == ("sha256", 2, "same")


def test_a_png_that_a_viewer_saved_again_is_still_found(
    published: Store, with_weights: SetFolder, tmp_path: Path
) -> None:
    image = Image.open(png_of_set(with_weights, 1, tmp_path / "one.png"))
    more = PngImagePlugin.PngInfo()
    more.add_text("Software", "a viewer")
    image.save(tmp_path / "again.png", pnginfo=more, dpi=(72, 72), compress_level=1)
    assert whose(published, tmp_path / "again.png", "cpu").index == 1


def test_a_version_that_was_withdrawn_is_named_with_the_reason(
    published: Store, with_weights: SetFolder, dicom: Path, experiment: Experiment,
    generator: LoadedGenerator, provenance: dict[str, str], tmp_path: Path,
) -> None:  # fmt: skip
    withdraw_set(published, "tiny", with_weights.version, "a patient has withdrawn")
    found = whose(published, dicom / "000000.dcm", "cpu")
    assert found.status == "WITHDRAWN: a patient has withdrawn"
    assert "WITHDRAWN: a patient has withdrawn" in found.line()
    # The same pixels in a version that may be used come first for a PNG, which names no version.
    other = write_set(generator, experiment, 6, 100, tmp_path / "other", {**provenance, "run": "r2"})
    publish_set(published, other)
    again = whose(published, png_of_set(with_weights, 0, tmp_path / "0.png"), "cpu")
    assert (again.version, again.status) == (other.version, "")
    assert again.also == (f"tiny/{with_weights.version}",)
    assert whose(published, dicom / "000000.dcm", "cpu").version == with_weights.version


def test_changed_pixels_are_another_image_whatever_the_header_says(
    published: Store, with_weights: SetFolder, dicom: Path, tmp_path: Path
) -> None:
    file = pydicom.dcmread(dicom / "000004.dcm")
    pixels = file.pixel_array.copy()
    pixels[10:20, 10:20] = 0
    file.PixelData = pixels.tobytes()
    file.save_as(tmp_path / "edited.dcm")
    found = whose(published, tmp_path / "edited.dcm", "cpu")
    assert (found.by, found.index, found.compared.verdict) == ("metadata", 4, "other")
    assert found.claim == "its pixels were changed since it was exported"
    assert found.as_json()["exit_status"] == 1
    assert "ANOTHER image" in found.line()


def test_a_header_that_names_another_image_than_its_pixels_are_is_reported(
    published: Store, dicom: Path, tmp_path: Path
) -> None:
    file = pydicom.dcmread(dicom / "000004.dcm")
    item = file.ContributingEquipmentSequence[0]
    item.ContributionDescription = json.dumps(
        {**json.loads(item.ContributionDescription), "seed": 7, "index": 1}
    )
    file.save_as(tmp_path / "renamed.dcm")
    found = whose(published, tmp_path / "renamed.dcm", "cpu")
    assert (found.index, found.seed, found.compared.verdict) == (4, 104, "same")
    assert found.claim.startswith("the file says that it is image 1 of set tiny")


def test_an_image_that_no_set_has_and_a_store_without_the_model_are_said_so(
    store: Store, dicom: Path, ready: SetFolder, published: Store, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    found = whose(published, tmp_path / "noise.png")
    assert (found.by, found.as_json()["exit_status"]) == ("", 1)
    assert "no set of this store lists such an image" in found.line()
    elsewhere = Store(store.client, store.bucket, f"{store.prefix}-elsewhere")
    named = whose(elsewhere, dicom / "000000.dcm")
    assert (named.by, named.set, named.seed, named.compared.verdict) == ("metadata", "tiny", 100, "unknown")
    assert "the generator is not in this store" in named.line()
    publish_set(elsewhere, ready)  # without its weights, and there is no run
    by_pixels = whose(elsewhere, dicom / "000000.dcm")
    assert (by_pixels.by, by_pixels.version) == ("sha256", ready.version)
    assert by_pixels.as_json()["exit_status"] == 1


def test_the_generator_of_a_run_makes_images_of_sets_without_weights_again(
    store: Store, ready: SetFolder, generator: LoadedGenerator, tmp_path: Path
) -> None:
    publish_set(store, ready)
    (tmp_path / "run").mkdir()
    save_generator(tmp_path / "run", generator.module, generator.experiment)
    files = {"generator.safetensors": tmp_path / "run" / "generator.safetensors"}
    store.commit(keys.run_manifest("tiny", "0123456789abcdef"), files, {"kind": "generator"})
    assert whose(store, png_of_set(ready, 19, tmp_path / "19.png"), "cpu").compared.verdict == "same"


@pytest.mark.parametrize("bits", [8, 16])
def test_another_kind_of_device_may_differ_by_one_grey_level_of_256(bits: int) -> None:
    one = 1 if bits == 8 else 257
    image = np.full((4, 4), 1000 * one // 257, np.uint8 if bits == 8 else np.uint16)
    near, far = image.copy(), image.copy()
    near[0, 0] += one
    far[0, 0] += one + 1
    verdicts = [compare(image, other, bits, "cuda").verdict for other in (image, near, far, image[:2])]
    assert verdicts == ["same", "close", "other", "other"]
    assert compare(image, near, bits, "cuda").pixels == 1
    found = Whose("f", "PNG", "sha256", compare(image, near, bits, "cuda"))
    assert found.as_json()["exit_status"] == 0
    assert "at most one grey level of 256" in found.line()


def test_the_command_answers_with_the_set_and_its_exit_status(
    published: Store, store_of_the_environment: Store, dicom: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:  # fmt: skip
    assert main(["sets", "whose", "--json", "--device", "cpu", str(dicom / "000005.dcm")]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["set"], data["index"], data["seed"], data["class"]) == ("tiny", 5, 105, "")
    assert data["made_again"] == {
        "verdict": "same",
        "device": "cpu",
        "largest_difference": 0,
        "pixels_that_differ": 0,
    }
    Image.new("L", (64, 64)).save(tmp_path / "black.png")
    assert main(["sets", "whose", str(tmp_path / "black.png")]) == 1
    assert "no set of this store lists such an image" in capsys.readouterr().err


def _chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def hostile() -> Iterator[tuple[str, bytes, str]]:
    begin = b"\x89PNG\r\n\x1a\n"
    huge = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)
    bomb = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    zeros = zlib.compress(bytes(64 * 2**20), 9)
    yield "huge.png", begin + _chunk(b"IHDR", huge) + _chunk(b"IEND", b""), "those of sets are square"
    yield "bomb.png", begin + _chunk(b"IHDR", bomb) + _chunk(b"IDAT", zeros) + _chunk(b"IEND", b""), "bytes"
    yield "cut.png", begin + _chunk(b"IHDR", bomb)[:20], "not a PNG"
    yield "no pixels.png", begin + _chunk(b"IHDR", bomb) + _chunk(b"IEND", b""), "not a PNG of pixels"
    yield "wide.png", begin + _chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 32, 8, 0, 0, 0, 0)), "square"
    yield "colour.png", begin + _chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)), "grey"
    yield "cut.dcm", bytes(128) + b"DICM" + b"\x02\0\0\0UL\x04\0\xff\xff\xff\xff", "DICOM|pixels"
    yield "empty.png", b"", "neither a PNG nor a DICOM file"
    yield "text\n\x1b[31m.png", b"hello", "neither a PNG nor a DICOM file"


@pytest.mark.parametrize(("name", "data", "words"), list(hostile()), ids=[repr(one[0]) for one in hostile()])
def test_files_of_strangers_are_refused_in_one_line_before_any_store_is_asked(
    name: str,
    data: bytes,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHESTGAN_STORE", "s3://nowhere/at-all")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    (tmp_path / name).write_bytes(data)
    assert main(["sets", "whose", str(tmp_path / name)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert any(word in said[0] for word in words.split("|")), said
    assert "\x1b" not in said[0]


def test_a_report_names_the_image_to_ask_about(
    asking: LoadedGenerator, provenance: dict[str, str], tmp_path: Path
) -> None:
    boxed = write_boxed_set(asking, tmp_path / "set", provenance)
    export_dicom(boxed.path, tmp_path / "out", numbers=[1])
    with pytest.raises(BadInput, match=r"has no pixels; give the image beside it, 000001\.dcm"):
        read_given(tmp_path / "out" / "000001-boxes.dcm")


def test_links_pipes_and_folders_are_refused(
    dicom: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link.dcm").symlink_to(dicom / "000000.dcm")
    for path in (tmp_path / "link.dcm", tmp_path, tmp_path / "nothing.png"):
        assert main(["sets", "whose", str(path)]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_levels_of_16_bits_are_found_too(
    store: Store, generator: LoadedGenerator, experiment: Experiment, provenance: dict[str, str], tmp_path: Path
) -> None:  # fmt: skip
    ready = write_set(generator, experiment, 2, 0, tmp_path / "set", provenance, bits=16)
    publish_set(store, ready)
    export_dicom(ready.path, tmp_path / "out")
    assert SetReader(ready).levels(1).dtype == np.uint16
    for path in (png_of_set(ready, 1, tmp_path / "1.png"), tmp_path / "out" / "000001.dcm"):
        found = whose(store, path)
        assert (found.by, found.index, found.seed) == ("sha256", 1, 1)
