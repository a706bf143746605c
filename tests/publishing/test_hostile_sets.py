"""A set that somebody made to harm: each file is only what it must be, and what is wrong is said in one line."""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.publishing.forms.content import read_description
from chestgan_core.publishing.reader.labels import labels_of_tars
from chestgan_core.publishing.reader.set_folder import SetFolder, read_set_folder
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.transfer.verifying import verify_set
from tests.publishing.hostile_sets import (
    LABELS,
    MANIFEST,
    TAR,
    entries,
    file_entry,
    header,
    replace_labels,
    replace_tar,
    sealed,
)

HUGE = f"{2**33 - 1:011o}\0".encode()
BASE_256 = b"\x80" + (2**40).to_bytes(11, "big")


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (header(b"000000.png", HUGE), "is not a complete tar: 000000.png would end beyond it"),
        (header(b"000000.png", BASE_256), "holds 000000.png, whose size is not a number"),
        (header(b"PaxHeader", HUGE, b"x"), "holds PaxHeader, which is not a regular file"),
        (header(b"././@LongLink", HUGE, b"L"), "which is not a regular file with a plain name"),
        (header(b"000000.png", b"0" * 11 + b"\0", b"S"), "holds 000000.png, which is not a regular file"),
        (
            header(b"000000.png", b"0" * 11 + b"\0", b"2", b"/etc/passwd"),
            "holds 000000.png, which is not a regular",
        ),
        (header(b"000000.png", b"0" * 11 + b"\0", b"6"), "holds 000000.png, which is not a regular file"),
        (file_entry(b"/etc/x.png", b"1"), "holds /etc/x.png, which is not a regular file with a plain name"),
        (file_entry(b"../x.png", b"1"), "holds ../x.png, which is not a regular file with a plain name"),
        (file_entry(b"\x1b[31m.png", b"1"), "which is not a regular file with a plain name"),
        (b"MZ" + bytes(510), "is not a tar, or damaged"),
    ],
)
def test_a_tar_holds_regular_files_with_plain_names_and_nothing_else(
    first: bytes, said: str, ready: SetFolder
) -> None:
    changed = replace_tar(ready, [first, *entries(ready)[1:]])
    checked = verify_set(ready.path)
    assert said in checked.broken[TAR]
    assert len(checked.line().splitlines()) == 2
    assert "\x1b" not in checked.line()
    with pytest.raises(DamagedObject, match="images-0000"):
        labels_of_tars(changed)  # as where pyarrow is not installed


def test_a_name_twice_in_a_tar_is_damage(ready: SetFolder) -> None:
    there = entries(ready)
    replace_tar(ready, [*there, there[0]])
    assert verify_set(ready.path).broken == {TAR: "has two files of the name 000000.png"}


@pytest.mark.parametrize("end", [b"", bytes(512), bytes(1024) + b"hidden", bytes(100 * 512)])
def test_a_tar_ends_with_zeros_and_nothing_hidden(end: bytes, ready: SetFolder) -> None:
    replace_tar(ready, entries(ready), end)
    broken = verify_set(ready.path).broken
    assert broken == {} if end == bytes(512) else list(broken) == [TAR]


def test_verify_finds_images_without_a_row_and_rows_without_an_image(ready: SetFolder) -> None:
    image, label, *rest = entries(ready)
    renamed = [
        header(b"extra.png", image[124:136]) + image[512:],
        header(b"extra.json", label[124:136]) + label[512:],
    ]
    replace_tar(ready, [*renamed, *rest])
    assert verify_set(ready.path).broken == {
        f"{TAR}/extra.png": "is an image that no row of labels.parquet names",
        f"{TAR}/000000.png": "is missing",
    }


def test_verify_finds_a_label_beside_an_image_that_says_something_else(ready: SetFolder) -> None:
    image, label, *rest = entries(ready)
    other = label.replace(b'"seed":100', b'"seed":101')
    replace_tar(ready, [image, other, *rest])
    assert verify_set(ready.path).broken == {f"{TAR}/000000.json": "is not that of image 0: seed 100"}
    spaced = label[512:].rstrip(b"\0").replace(b",", b", ")  # another writer's form of the same label
    replace_tar(ready, [image, file_entry(b"000000.json", spaced), *rest])
    assert verify_set(ready.path).broken == {}


def test_verify_finds_an_image_that_is_not_as_labelled_whatever_the_file_says(ready: SetFolder) -> None:
    _, label, second, *rest = entries(ready)
    swapped = header(b"000000.png", second[124:136]) + second[512:]
    replace_tar(ready, [swapped, label, second, *rest])
    broken = verify_set(ready.path).broken
    assert broken[f"{TAR}/000000.png"] in (
        "is not the image that labels.parquet describes",
        "is an image that no row of labels.parquet names",
    )
    assert verify_set(ready.path, images=False).broken == {}


def test_verify_finds_a_tar_that_no_row_names(ready: SetFolder) -> None:
    second = ready.path / "images-0001.tar"
    second.write_bytes(file_entry(b"extra.png", b"1") + file_entry(b"extra.json", b"{}") + bytes(1024))
    text = (ready.path / MANIFEST).read_text()
    key = ready.manifest_key.replace(MANIFEST, second.name)
    (ready.path / MANIFEST).write_text(text.replace('"objects":[', f'"objects":[{{"key":"{key}"}},'))
    sealed(ready.path)
    assert verify_set(ready.path).broken == {
        "images-0001.tar/extra.png": "is an image that no row of labels.parquet names"
    }


def without_columns(table: pa.Table) -> pa.Table:
    return pa.table({})


def without_rows(table: pa.Table) -> pa.Table:
    return table.slice(0, 0)


def of_a_dictionary(table: pa.Table) -> pa.Table:
    return table.set_column(2, "class", table.column("class").dictionary_encode())


def not_text(table: pa.Table) -> pa.Table:
    raw = pa.array([b"\xff"] * len(table), pa.binary())
    return table.set_column(
        table.schema.get_field_index("file"),
        "file",
        pa.Array.from_buffers(pa.string(), len(raw), raw.buffers()),
    )


def column(name: str, value: object) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        return table.set_column(table.schema.get_field_index(name), name, pa.array([value] * len(table)))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_columns, "has no column index"),
        (without_rows, "has 0 rows, not 20"),
        (lambda table: pa.concat_tables([table] * 1000), "has 20,000 rows, not 20"),
        (of_a_dictionary, "has dictionary"),
        (not_text, "is not a readable Parquet file"),
        (column("tar", None), "has null in the column tar, not string"),
        (column("tar", 1), "has int64 in the column tar, not string"),
        (column("tar", ["a"]), "has list<element: string> in the column tar, not string"),
        (column("tar", "\0"), "which the manifest does not list"),
        (column("tar", "/etc/passwd"), "names /etc/passwd, which the manifest does not list"),
        (column("tar", LABELS), "names labels.parquet, which the manifest does not list"),
        (column("file", "../000000.png"), "row 0 does not name 000000.png or has no sha256"),
        (column("file", "000000.png"), "row 1 does not name 000001.png or has no sha256"),
        (column("sha256", "x"), "row 0 does not name 000000.png or has no sha256"),
        (column("index", 0), "row 1 is not that of image 1: seed 101"),
        (column("seed", 100), "row 1 is not that of image 1: seed 101"),
        (column("class", "A"), "row 0 is not that of image 0: seed 100"),
    ],
)
def test_labels_have_the_rows_of_the_images_and_nothing_else(
    change: Callable[[pa.Table], pa.Table], said: str, ready: SetFolder
) -> None:
    changed = replace_labels(ready, change)
    broken = verify_set(ready.path).broken
    assert list(broken) == [LABELS]
    assert said in broken[LABELS]
    with pytest.raises(DamagedObject):
        SetReader(changed)


def test_more_images_than_fit_into_the_tars_are_refused_before_their_rows_are_read(ready: SetFolder) -> None:
    text = (ready.path / MANIFEST).read_text()
    (ready.path / MANIFEST).write_text(text.replace('"images":20', '"images":4000000000'))
    broken = verify_set(ready.path).broken
    assert broken == {LABELS: "has 4,000,000,000 image(s), more than fit into its tars"}


@pytest.mark.parametrize("name", [TAR, LABELS, "samples.png"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_file_of_a_set_is_a_file(name: str, kind: str, ready: SetFolder, tmp_path: Path) -> None:
    path = ready.path / name
    path.rename(tmp_path / "moved")
    if kind == "link":
        path.symlink_to(tmp_path / "moved")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert verify_set(ready.path).broken == {name: "is a link, a pipe or a folder, not a file"}
    with pytest.raises(DamagedObject, match="is missing, or not a file"):
        SetReader(ready)


def test_a_folder_that_does_not_exist_is_said_to_be_missing_and_not_incomplete(tmp_path: Path) -> None:
    for read in (read_set_folder, read_description):
        with pytest.raises(BadInput, match="is not here; give the folder of"):
            read(tmp_path / "nothing")


def test_a_manifest_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / MANIFEST)
    with pytest.raises(BadInput, match="is not a complete set"):
        read_set_folder(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"version": "a", "version": "b"}', "1"])
def test_json_that_is_no_manifest_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(DamagedObject, match="is not a JSON object") as caught:
        read_set_folder(tmp_path)
    assert len(str(caught.value)) < 400
