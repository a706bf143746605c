"""A set in other forms: the same levels and labels in each, from each into each, and nothing else is read as one."""

import csv
import io
import json
import resource
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chestgan_core.cli import sets_convert
from chestgan_core.cli.main import main
from chestgan_core.documents.front_matter import without_front_matter
from chestgan_core.errors import BadInput, ChestganError, DamagedObject, DiskFull, UnknownName
from chestgan_core.local.output import MARKER
from chestgan_core.publishing import open_set
from chestgan_core.publishing.forms.content import Content
from chestgan_core.publishing.forms.convert import convert_set, write_form
from chestgan_core.publishing.forms.items import Item
from chestgan_core.publishing.forms.registry import FORMS
from chestgan_core.publishing.forms.source import read_form
from chestgan_core.publishing.reader.levels import hounsfield_of, sha256_of_levels
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.store.store import Store
from tests.publishing import form_images

READABLE = [name for name, form in FORMS.items() if form.items]
"""The others are in test_detection_forms.py."""


def same(found: list[Item], expected: list[Item]) -> bool:
    """Levels with their type, and labels."""
    return len(found) == len(expected) and all(
        (a.dtype, label) == (b.dtype, other) and np.array_equal(a, b)
        for (a, label), (b, other) in zip(found, expected, strict=True)
    )


def files(folder: Path) -> dict[str, bytes]:
    """What is in a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MARKER}


@given(
    bits=st.sampled_from([8, 16]),
    classes=st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=3),
    boxes=st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=4),
    conditions=st.sampled_from([("position", "tumour"), ("tumour",), ("position",), ()]),
    images=st.integers(1, 5),
    resolution=st.integers(1, 9),
    pair=st.sampled_from([*product(READABLE, READABLE)]),
)
@settings(max_examples=35, deadline=None)
def test_every_form_becomes_every_other_and_gives_the_same_images_and_labels(
    bits: int,
    classes: list[str],
    boxes: list[int | None],
    conditions: tuple[str, ...],
    images: int,
    resolution: int,
    pair: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    told = (*(("class",) if classes else ()), *conditions)
    of = form_images.facts(images, bits, classes, resolution=resolution, conditions=told)
    expected = [*form_images.items(of, boxes)]
    place = tmp_path_factory.mktemp("forms")
    # With 16 bits HU do not come back, see below.
    first, second = (name if (bits, name) != (16, "hounsfield") else "npz" for name in pair)
    form_images.made(place / "first", of, first, boxes)
    assert same([*read_form(place / "first")], expected)
    convert_set(place / "first", second, place / "second")
    convert_set(place / "second", first, place / "back")
    assert same([*read_form(place / "second")], expected)
    assert same([*read_form(place / "back")], expected)
    assert [sha256_of_levels(levels, bits) for levels, _ in read_form(place / "back")] == [
        label["sha256"] for _, label in expected
    ]
    assert files(place / "first") == files(place / "back")


@pytest.mark.parametrize("form", READABLE)
def test_a_set_becomes_each_form_and_says_which_set_it_is_of(
    form: str, ready: SetFolder, tmp_path: Path
) -> None:
    images = open_set(ready.path)
    assert main(["sets", "convert", str(ready.path), "--to", form, "--out", str(tmp_path / "out")]) == 0
    found = [*read_form(tmp_path / "out")]
    assert len(found) == 20
    for k, (levels, label) in enumerate(found):
        assert np.array_equal(levels, images.levels(k))
        assert {**label, "file": f"{k:06d}.png"} == images.label(k)
    said = json.loads((tmp_path / "out" / "form.json").read_text())
    assert (said["form"], said["version"], said["images"]) == (form, ready.version, 20)
    assert said["set"] == json.loads((ready.path / "manifest.json").read_text())["set"]
    card, copy = (
        (folder / "README.md").read_text(encoding="utf-8") for folder in (ready.path, tmp_path / "out")
    )
    # The lines for programs name the tars of the set.
    assert copy == (card if form == "tar" else without_front_matter(card)) != ""


def test_the_tars_of_a_converted_set_are_those_of_the_set(ready: SetFolder, tmp_path: Path) -> None:
    convert_set(ready.path, "npz", tmp_path / "npz")
    convert_set(tmp_path / "npz", "tar", tmp_path / "tars")
    name = "images-0000.tar"
    assert (tmp_path / "tars" / name).read_bytes() == (ready.path / name).read_bytes()


def test_a_tar_holds_a_thousand_images(tmp_path: Path) -> None:
    of = form_images.facts(1001, resolution=1)
    form_images.made(tmp_path / "tar", of)
    assert sorted(path.name for path in (tmp_path / "tar").glob("*.tar")) == [
        "images-0000.tar",
        "images-0001.tar",
    ]
    with tarfile.open(tmp_path / "tar" / "images-0001.tar") as last:
        assert last.getnames() == ["001000.png", "001000.json"]
    assert same([*read_form(tmp_path / "tar")], [*form_images.items(of)])


def test_hounsfield_units_are_those_of_the_reader(ready: SetFolder, tmp_path: Path) -> None:
    images = open_set(ready.path)
    convert_set(ready.path, "hounsfield", tmp_path / "hu")
    found = np.load(tmp_path / "hu" / "hounsfield.npz", allow_pickle=False)["train_images"]
    assert (found.dtype, found.shape) == (np.int16, (20, 64, 64))
    assert all(np.array_equal(found[k], images.hounsfield(k)) for k in range(20))


def test_hounsfield_units_of_16_bits_are_written_and_not_taken_for_the_levels(tmp_path: Path) -> None:
    of = form_images.facts(bits=16)
    form_images.made(tmp_path / "tar", of)
    convert_set(tmp_path / "tar", "hounsfield", tmp_path / "hu")
    assert json.loads((tmp_path / "hu" / "form.json").read_text())["exact"] is False
    found = np.load(tmp_path / "hu" / "hounsfield.npz")["train_images"]
    for image, (levels, _) in zip(found, form_images.items(of), strict=True):
        assert np.array_equal(image, hounsfield_of(levels, of.window, 16))
    for use in (read_form, lambda folder: convert_set(folder, "png", tmp_path / "png")):
        with pytest.raises(BadInput, match=r"a level is 0\.023 HU, and whole HU cannot tell them apart"):
            use(tmp_path / "hu")


@pytest.mark.parametrize(("width", "exact"), [(255.0, True), (256.0, True), (254.0, False), (100.0, False)])
def test_levels_come_back_from_hounsfield_units_where_each_has_its_own(
    width: float, exact: bool, tmp_path: Path
) -> None:
    of = form_images.facts(images=2, window_width=width, window_centre=0.25, resolution=32)
    form_images.made(tmp_path / "hu", of, "hounsfield")
    if exact:
        assert same([*read_form(tmp_path / "hu")], [*form_images.items(of)])
    else:
        with pytest.raises(BadInput, match="cannot be converted back"):
            read_form(tmp_path / "hu")


@pytest.mark.parametrize("form", ["hounsfield", "dicom"])
def test_images_without_hounsfield_units_get_none(form: str, tmp_path: Path) -> None:
    of = form_images.facts(window_centre=127.5, window_width=255.0, window_unit="grey")
    form_images.made(tmp_path / "tar", of)
    with pytest.raises(BadInput, match="made: was made from images without Hounsfield units"):
        convert_set(tmp_path / "tar", form, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    convert_set(tmp_path / "tar", "npz", tmp_path / "npz")
    assert same([*read_form(tmp_path / "npz")], [*form_images.items(of)])


def test_boxes_that_dicom_would_round_are_refused(tmp_path: Path) -> None:
    of = form_images.facts(images=2)
    boxed = [
        (levels, {**label, "boxes": [[1 / 3, 0.1, 5.0, 8.0]]}) for levels, label in form_images.items(of)
    ]
    content = Content(of, "0123456789abcdef", 2)
    (tmp_path / "png").mkdir()
    write_form(tmp_path / "png", FORMS["png"], content, iter(boxed))  # type: ignore[arg-type]
    assert same([*read_form(tmp_path / "png")], boxed)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="image 0: has a box with more digits than DICOM keeps"):
        convert_set(tmp_path / "png", "dicom", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", READABLE)
def test_chosen_images_keep_their_number_and_seed(form: str, tmp_path: Path) -> None:
    of = form_images.facts(images=12)
    form_images.made(tmp_path / "tar", of)
    expected = [item for item in form_images.items(of) if item[1]["class"] in ("A", "C")][:5]
    convert_set(tmp_path / "tar", form, tmp_path / "out", classes=["C", "A", "C"], count=5)
    assert same([*read_form(tmp_path / "out")], expected)
    # Of what was chosen, some are chosen again: both choices are told.
    convert_set(tmp_path / "out", "png", tmp_path / "again", classes=["A"])
    assert same([*read_form(tmp_path / "again")], [item for item in expected if item[1]["class"] == "A"])
    assert json.loads((tmp_path / "again" / "form.json").read_text())["selections"] == [
        {"classes": ["A", "C"], "count": 5},
        {"classes": ["A"], "count": 0},
    ]


def test_the_first_images_of_a_set_hold_each_class_equally_often(tmp_path: Path) -> None:
    form_images.made(tmp_path / "tar", form_images.facts(images=20))
    convert_set(tmp_path / "tar", "png", tmp_path / "out", count=11)
    shown = [label["class"] for _, label in read_form(tmp_path / "out")]
    assert sorted(map(shown.count, "ABC")) == [3, 4, 4]


def test_an_unknown_form_or_class_names_the_nearest(
    ready: SetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form_images.made(tmp_path / "tar", form_images.facts(classes=("Adenocarcinoma", "Other")))
    with pytest.raises(UnknownName, match="did you mean Adenocarcinoma"):
        convert_set(tmp_path / "tar", "png", tmp_path / "out", classes=["adenocarcinom"])
    with pytest.raises(UnknownName, match="did you mean npz"):
        convert_set(tmp_path / "tar", "npzz", tmp_path / "out")
    with pytest.raises(BadInput, match="tiny: has no classes; leave --class out"):
        convert_set(ready.path, "png", tmp_path / "out", classes=["A"])
    with pytest.raises(SystemExit):
        main(["sets", "convert", "x", "--to", "png", "--out", "y", "--count", "0"])
    assert "'0' is not a positive whole number" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_somebody_else_is_not_written_into(ready: SetFolder, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="holds files that are not of a conversion; give an empty folder"):
        convert_set(ready.path, "png", tmp_path / "mine")
    convert_set(ready.path, "png", tmp_path / "out", count=3)
    for arguments in ({"to": "npz", "count": 3}, {"to": "png", "count": 4}, {"to": "png"}):
        with pytest.raises(
            BadInput, match=r"holds a conversion of the set tiny .* as png, the first 3, not a conversion"
        ):
            convert_set(ready.path, out=tmp_path / "out", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", READABLE)
def test_an_interrupted_conversion_cannot_be_read_and_is_completed_by_the_next(
    form: str, ready: SetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chestgan_core.publishing.forms import convert

    step = convert.Progress.step

    def die(progress: convert.Progress, n: int = 1, note: str = "") -> None:
        step(progress, n, note)
        if progress.done == 12:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(convert.Progress, "step", die)
        with pytest.raises(KeyboardInterrupt):
            convert_set(ready.path, form, out)
    with pytest.raises(BadInput, match="neither a set nor a complete conversion of one"):
        read_form(out)
    convert_set(ready.path, form, out)
    convert_set(ready.path, form, tmp_path / "at-once")
    assert files(out) == files(tmp_path / "at-once")
    times = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    convert_set(ready.path, form, out)  # complete: nothing is written again
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == times


@pytest.mark.parametrize("form", READABLE)
def test_memory_does_not_grow_with_the_images(form: str, tmp_path: Path) -> None:
    of = form_images.facts(images=40, resolution=256)  # 2.6 MB of levels
    form_images.made(tmp_path / "tar", of, boxes=(0,))

    def peak(count: int) -> int:
        """Bytes, of a conversion there and back."""
        tracemalloc.start()
        try:
            convert_set(tmp_path / "tar", form, tmp_path / f"{count}", count=count)
            convert_set(tmp_path / f"{count}", "tar", tmp_path / f"{count}-back")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)  # imports
    assert peak(40) - peak(8) < 32 * 256**2 / 10


@pytest.mark.parametrize("form", READABLE)
def test_a_full_disk_is_said_in_one_line_and_leaves_nothing_that_can_be_read(
    form: str, ready: SetFolder, tmp_path: Path
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(DiskFull) as error:
            convert_set(ready.path, form, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    with pytest.raises(BadInput, match="is not here"):
        read_form(tmp_path / "out")
    convert_set(ready.path, form, tmp_path / "out")
    assert len([*read_form(tmp_path / "out")]) == 20


def test_a_set_is_fetched_in_another_form_and_downloaded_once(
    ready: SetFolder, store_of_the_environment: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    publish_set(store_of_the_environment, ready)
    times = set()
    for form in ("npz", "png"):
        out = tmp_path / form
        assert main(["sets", "fetch", "tiny", "--format", form, "--count", "4", "--out", str(out)]) == 0
        assert [label["seed"] for _, label in read_form(out)] == [100, 101, 102, 103]
        [tar] = (tmp_path / "cache").rglob("images-0000.tar")
        times.add(tar.stat().st_mtime_ns)
    assert len(times) == 1
    assert main(["sets", "fetch", "tiny", "--count", "4", "--out", str(tmp_path / "tars")]) == 0
    assert json.loads((tmp_path / "tars" / "form.json").read_text())["form"] == "tar"


def test_the_command_line_knows_every_form() -> None:
    assert set(sets_convert.FORMS) == set(FORMS)


def test_a_damaged_image_leaves_nothing_that_can_be_read(ready: SetFolder, tmp_path: Path) -> None:
    tar = ready.path / "images-0000.tar"
    data = bytearray(tar.read_bytes())
    data[512 + 60] ^= 1  # inside the first PNG
    tar.write_bytes(data)
    with pytest.raises(DamagedObject, match=r"images-0000\.tar"):
        convert_set(ready.path, "npz", tmp_path / "out")
    with pytest.raises(BadInput, match="neither a set nor a complete conversion of one"):
        read_form(tmp_path / "out")


# What strangers hand over.

Change = Callable[[Path], None]


def _edit(name: str, change: Callable[[dict[str, Any]], object]) -> Change:
    def edit(folder: Path) -> None:
        fields = json.loads((folder / name).read_text())
        change(fields)
        (folder / name).write_text(json.dumps(fields))

    return edit


def _array(name: str, change: Callable[[Any], Any]) -> Change:
    def edit(folder: Path) -> None:
        arrays = dict(np.load(folder / "set.npz"))
        arrays[name] = change(arrays[name])
        np.savez(folder / "set.npz", **arrays)

    return edit


def _shape(folder: Path) -> None:
    """A header that says 2^40 images, before the bytes of seven."""
    header = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 8, 8)}
    np.lib.format.write_array_header_1_0(header, shape)
    _member(folder, lambda data: header.getvalue() + data[128:])


def _broken_header(folder: Path) -> None:
    _member(folder, lambda data: data.replace(b"}", b"("))


def _member(folder: Path, change: Callable[[bytes], bytes]) -> None:
    """Changes the bytes of the array of images."""
    with zipfile.ZipFile(folder / "set.npz") as npz:
        parts = {name: npz.read(name) for name in npz.namelist()}
    parts["train_images.npy"] = change(parts["train_images.npy"])
    with zipfile.ZipFile(folder / "set.npz", "w") as npz:
        for name, data in parts.items():
            npz.writestr(name, data)


def _cut_rows(folder: Path) -> None:
    _member(folder, lambda data: data[:-10])


def _bomb(folder: Path) -> None:
    """256 MB of zeros behind the images, in a quarter of one."""
    with zipfile.ZipFile(folder / "set.npz") as npz:
        parts = {name: npz.read(name) for name in npz.namelist()}
    with zipfile.ZipFile(folder / "set.npz", "w", zipfile.ZIP_DEFLATED) as npz:
        for name, data in parts.items():
            with npz.open(name, "w", force_zip64=True) as stream:
                stream.write(data)
                for _ in range(256 if name == "train_images.npy" else 0):
                    stream.write(bytes(2**20))


def _pickle(folder: Path) -> None:
    arrays = dict(np.load(folder / "set.npz"))
    arrays["train_index"] = arrays["train_index"].astype(object)
    np.savez(folder / "set.npz", **arrays)


def _row(change: Callable[[dict[str, str]], object], at: int = 2) -> Change:
    def edit(folder: Path) -> None:
        with (folder / "labels.csv").open(newline="") as file:
            rows = [*csv.DictReader(file)]
        change(rows[at])
        text = io.StringIO()
        table = csv.DictWriter(text, rows[0])
        table.writeheader()
        table.writerows(rows)
        (folder / "labels.csv").write_text(text.getvalue(), newline="")

    return edit


def _swap_pngs(folder: Path) -> None:
    one, other = folder / "000001.png", folder / "000002.png"
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def _link(folder: Path) -> None:
    (folder / "000002.png").unlink()
    (folder / "000002.png").symlink_to("/etc/hostname")


def _tar(change: Callable[[list[tuple[str, bytes]]], object]) -> Change:
    def edit(folder: Path) -> None:
        path = folder / "images-0000.tar"
        with tarfile.open(path) as archive:
            files = [(entry.name, archive.extractfile(entry).read()) for entry in archive]  # type: ignore[union-attr]
        change(files)
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for name, data in files:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))

    return edit


def _larger_png(folder: Path) -> None:
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(folder / "000002.png")


def _write(name: str, data: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(data) and None


def _renamed(folder: Path) -> None:
    (folder / "000001.dcm").rename(folder / "000009.dcm")


def _pixel(folder: Path) -> None:
    data = bytearray((folder / "000003.dcm").read_bytes())
    data[-2] ^= 1
    (folder / "000003.dcm").write_bytes(data)


def _other_version(fields: dict[str, Any]) -> None:
    fields["version"] = "f" * 16


HOSTILE: list[tuple[str, str, Change]] = [
    ("png", "has 3 PNG|holds 8 PNG files, not 7", _write("more.png", b"")),
    ("png", "holds notes.txt", _write("notes.txt", b"x")),
    ("png", "holds 6 PNG files, not 7", lambda folder: (folder / "000003.png").unlink()),
    (
        "png",
        "000003.png: cannot be read",
        lambda folder: (folder / "000003.png").rename(folder / "000009.png"),
    ),
    ("png", "is not the image that its label describes", _swap_pngs),
    ("png", "000002.png: cannot be read", _link),
    ("png", "8 x 9 pixels", _larger_png),
    ("png", "is not that of image 2: seed 102, class A", _row(lambda row: row.update(seed="7"))),
    ("png", "is not that of image 2: seed 102, class A", _row(lambda row: row.update({"class": "B"}))),
    (
        "png",
        "is of image 70, and the set has 7|names 000002.png for image 70",
        _row(lambda row: row.update(index="70")),
    ),
    ("png", "names .*passwd for image 2", _row(lambda row: row.update(file="/etc/passwd"))),
    ("png", "has other labels than form.json says", _row(lambda row: row.update(boxes="[[0,0,1,1]]"))),
    ("png", "has a box whose right", _row(lambda row: row.update(boxes="[[1,1,0,0]]"))),
    ("png", "is not the label of an image", _row(lambda row: row.update(boxes="[" * 5000))),
    ("png", "is not the label of an image|NaN", _row(lambda row: row.update(boxes="[[0,0,NaN,1]]"))),
    ("png", "has a line that is too long", _write("labels.csv", b"a" * 10**6)),
    ("png", "is not a table of labels", _write("labels.csv", b"\xff\xfe")),
    ("tar", "has other labels than form.json says", _tar(lambda files: files.__delitem__(slice(-2, None)))),
    ("tar", "has no label behind 000001.png", _tar(lambda files: files.__delitem__(3))),
    (
        "tar",
        "is not the number of an image",
        _tar(lambda files: files.extend([("x.png", b""), ("x.json", b"{}")])),
    ),
    ("tar", "which 7 images have no need of", _write("images-0001.tar", b"")),
    (
        "tar",
        "is not the image|is not that of",
        _tar(lambda files: files.__setitem__(0, ("000000.png", files[2][1]))),
    ),
    ("tar", "is not that of image 0", _tar(lambda files: files.__setitem__(1, ("000000.json", files[3][1])))),
    (
        "tar",
        "has image 0 behind image 1|two files",
        _tar(lambda files: files.insert(0, files.pop(2)) or files.insert(1, files.pop(3))),
    ),
    ("npz", r"train_images: is uint8 of 1099511627776, 8, 8, not uint8 of 7, 8, 8", _shape),
    ("npz", "train_images: cannot be read", _broken_header),
    ("npz", "train_images: is shorter than its header says", _cut_rows),
    ("npz", "train_images: is longer than its header says", _bomb),
    ("npz", "train_index: is object of 7, not int64 of 7", _pickle),
    (
        "npz",
        "train_images: is uint8 of 6, 8, 8, not uint8 of 7, 8, 8",
        _array("train_images", lambda a: a[:6]),
    ),
    ("npz", "is uint16 of 7, 8, 8, not uint8", _array("train_images", lambda a: a.astype(np.uint16))),
    ("npz", "is not the image that its label describes", _array("train_images", lambda a: a[::-1].copy())),
    ("npz", "has the class of another image", _array("train_labels", lambda a: a[::-1].copy() * 0)),
    ("npz", "is not that of image", _array("train_seed", lambda a: a + 1)),
    ("npz", "is of image 7000|is of image -1", _array("train_index", lambda a: a * 0 - 1)),
    ("npz", "has fewer boxes than it says", _array("train_boxes", lambda a: a[:-1])),
    ("npz", "has boxes of images that it does not have", _array("train_box_image", lambda a: a[:-1])),
    ("npz", "has boxes of images that it does not have", _array("train_box_image", lambda a: a + 7)),
    ("npz", "are not the classes of the set", _array("class_names", lambda a: a[::-1])),
    (
        "npz",
        "test_images: is uint8 of 1, 8, 8, not uint8 of 0, 8, 8",
        _array("test_images", lambda a: np.zeros((1, 8, 8), np.uint8)),
    ),
    ("npz", "is not an NPZ that can be read", _write("set.npz", b"PK\5\6")),
    ("dicom", "holds 6 images, not 7", lambda folder: (folder / "000003.dcm").unlink()),
    ("dicom", "holds notes.txt", _write("notes.txt", b"x")),
    ("dicom", "is image 1 under the name of another", _renamed),
    ("dicom", "000000-boxes.dcm", lambda folder: (folder / "000000-boxes.dcm").unlink()),
    ("dicom", "does not hold the pixels that its header names", _pixel),
    ("dicom", "is of the set made 0123456789abcdef, not of this one", _edit("form.json", _other_version)),
    ("tar", "of format 2, which a newer version", _edit("form.json", lambda fields: fields.update(format=2))),
    (
        "tar",
        "images: is not a whole number from 1 to 7",
        _edit("form.json", lambda fields: fields.update(images=8)),
    ),
    (
        "tar",
        "nosuch: is not a form of a set",
        _edit("form.json", lambda fields: fields.update(form="nosuch")),
    ),
    ("tar", "resolution", _edit("form.json", lambda fields: fields["set"].update(resolution=10**9))),
    (
        "tar",
        "first_seed|is not that of image",
        _edit("form.json", lambda fields: fields["set"].update(first_seed=5)),
    ),
    ("png", "form.json", _write("form.json", b"[" * 10**5)),
]


@pytest.mark.parametrize(("form", "cause", "change"), HOSTILE)
def test_what_somebody_changed_is_refused_in_one_line(
    form: str, cause: str, change: Change, tmp_path: Path
) -> None:
    folder = form_images.made(tmp_path / "form", form_images.facts(), form)
    change(folder)
    with pytest.raises(ChestganError, match=cause) as found:
        list(read_form(folder))
    assert "\n" not in str(found.value)
    with pytest.raises(ChestganError):
        convert_set(folder, "png", tmp_path / "out")
    assert not (tmp_path / "out" / "form.json").exists()
