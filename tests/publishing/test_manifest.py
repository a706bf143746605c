"""Manifests, indexes and labels that somebody else wrote: out of bounds is damaged, and said with the field."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from chestgan_core.errors import DamagedObject
from chestgan_core.publishing.reader.labels import (
    LabelRow,
    json_name,
    label_json,
    read_labels,
)
from chestgan_core.publishing.reader.set_folder import SetFolder, parse_set, read_set_folder
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.reader.tars import BLOCK
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.versions.finding import newest_version
from chestgan_core.publishing.versions.listing import list_sets
from chestgan_core.publishing.writing.labels_file import labels_file
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from tests.publishing.hostile_sets import add_file


def changed(manifest: Any, *path: str | int, to: Any) -> bytes:
    """The manifest as JSON, with another value at that place."""
    copy = json.loads(json.dumps(manifest))
    at = copy
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = to
    return json.dumps(copy).encode()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("kind",), "metric-report", "kind"),
        (("version",), "../../elsewhere", "(version: is not a text"),
        (("set", "name"), "a/b", "(set.name: is not a text"),
        (("set", "images"), 0, "set.images"),
        (("set", "images"), "many", "set.images"),
        (("set", "first_seed"), -1, "set.first_seed"),
        (("set", "resolution"), 10**9, "set.resolution"),
        (("set", "window_width"), 0, "set.window_width"),
        (("set", "window_centre"), float("nan"), "NaN is not a number of JSON"),
        (("set", "window_centre"), "x", "set.window_centre"),
        (("set", "window_centre"), 1e300, "set.window_centre"),
        (("set", "images"), True, "set.images"),
        (("set", "images"), "20", "set.images"),
        (("set", "images"), 2.5, "set.images"),
        (("set", "images"), 2**40, "set.images"),
        (("set", "source_title"), "\ud800", "surrogates"),
        (("set", "classes"), ["A"] * 20_000, "set.classes"),
        (("objects", 0, "bytes"), float("inf"), "Infinity is not a number of JSON"),
        (("set", "window_unit"), "Bq/ml", "set.window_unit"),
        (("set", "model_sha256"), "x", "set.model_sha256"),
        (("set", "source_title"), "x" * 100_000, "set.source_title"),
        (("set", "classes"), [""], "set.classes.0"),
        (("objects", 0, "bytes"), -1, "objects.0.bytes"),
        (("objects", 0, "sha256"), "", "objects.0.sha256"),
        (("objects", 0, "key"), "synthetic/other/v1/README.md", "outside of its folder"),
        (("objects", 0, "key"), "{folder}\u001b[31mX\nFORGED", r"lists \x1b[31mX\nFORGED"),
        (("objects", 0, "key"), "{folder}manifest.json", "lists manifest.json"),
        (("objects", 0, "key"), "{folder}.bashrc", "lists .bashrc"),
        (("objects", 0, "key"), "{folder}a/b.tar", "lists a/b.tar"),
        (("objects", 0, "key"), "{folder}LABELS.parquet", "lists a file twice"),
        (("objects", 0, "key"), "{folder}other.md", "lists no README.md"),
    ],
)
def test_a_manifest_out_of_bounds_is_damaged_and_names_the_field(
    path: tuple[str | int, ...], value: Any, said: str, ready: SetFolder
) -> None:
    if isinstance(value, str):
        value = value.replace("{folder}", ready.manifest_key.removesuffix("manifest.json"))
    with pytest.raises(DamagedObject) as caught:
        parse_set(changed(ready.manifest, *path, to=value), ready.path, "somewhere/manifest.json")
    error = str(caught.value)
    assert error.startswith("somewhere/manifest.json: ")
    assert said in error
    assert "\n" not in error
    assert len(error) < 500


def test_fields_of_a_later_version_are_passed_over(ready: SetFolder) -> None:
    later = parse_set(changed(ready.manifest, "set", "spacing_mm", to=[0.7, 0.7]), ready.path, "here")
    assert later.facts == ready.facts


@pytest.mark.parametrize(
    "index",
    [
        {"kind": "something"},
        {"kind": "synthetic-set-index", "sets": [{"name": "tiny"}]},
        {"kind": "synthetic-set-index", "sets": "tiny"},
    ],
)
def test_a_damaged_index_is_named_with_its_remedy(index: dict[str, Any], store: Store) -> None:
    store.put_bytes(json.dumps(index).encode(), keys.set_index())
    with pytest.raises(DamagedObject, match=r"index\.json: is not an index of sets .*; delete it and"):
        list_sets(store)


def test_a_pointer_that_names_no_version_is_damaged(ready: SetFolder, store: Store) -> None:
    publish_set(store, ready)
    store.put_bytes(b'{"version": "../x"}', keys.set_latest("tiny"))
    with pytest.raises(DamagedObject, match="is not a pointer with version"):
        newest_version(store, "tiny")


def drop_column(table: pa.Table) -> pa.Table:
    return table.drop_columns(["seed"])


def retype(table: pa.Table) -> pa.Table:
    return table.set_column(1, "seed", pa.array(["one"] * len(table)))


def empty(table: pa.Table) -> pa.Table:
    return table.set_column(1, "seed", pa.array([None] * len(table), pa.int64()))


def shorten(table: pa.Table) -> pa.Table:
    return table.slice(0, 5)


def point_elsewhere(table: pa.Table) -> pa.Table:
    return table.set_column(
        table.schema.get_field_index("tar"), "tar", pa.array(["../../secret.tar"] * len(table))
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_column, "has no column seed"),
        (retype, "has string in the column seed, not int64"),
        (empty, "has empty fields"),
        (shorten, "has 5 rows, not 20"),
        (point_elsewhere, r"names \.\./\.\./secret\.tar, which the manifest does not list"),
    ],
)
def test_labels_that_do_not_fit_the_set_are_damaged(
    change: Callable[[pa.Table], pa.Table], said: str, ready: SetFolder
) -> None:
    path = ready.path / "labels.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(DamagedObject, match=said):
        read_labels(ready)


def test_a_column_of_a_later_version_is_passed_over(ready: SetFolder) -> None:
    path = ready.path / "labels.parquet"
    before = list(read_labels(ready))
    table = pq.read_table(path)
    pq.write_table(table.append_column("age", pa.array([50] * len(table))), path)
    assert list(read_labels(ready)) == before


def replace_images(folder: SetFolder, image: bytes) -> SetFolder:
    """The set with this file in place of every image, and labels and manifest that fit it."""
    rows: list[LabelRow] = []
    for row in list(read_labels(folder)):
        rows.append({**row, "sha256": hashlib.sha256(image).hexdigest(), "bytes": len(image)})
    with tarfile.open(folder.path / "images-0000.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        for row in rows:
            row["offset"] = archive.offset + BLOCK
            add_file(archive, row["file"], image)
            add_file(archive, json_name(row["index"]), label_json(row))
    with labels_file(folder.path / "labels.parquet") as labels:
        labels.append(rows)
    manifest = json.loads(json.dumps(dict(folder.manifest)))
    for item in manifest["objects"]:
        data = (folder.path / Path(item["key"]).name).read_bytes()
        item.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (folder.path / "manifest.json").write_text(json.dumps(manifest))
    return read_set_folder(folder.path)


def png(mode: str, size: int) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (size, size)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (png("L", 32), "has 32 x 32 pixels, 8-bit grey, not 64 x 64"),
        (png("RGB", 64), "has 64 x 64 pixels, 8-bit RGB, not 64 x 64, 8-bit grey"),
        (png("1", 64), "has 64 x 64 pixels, 1-bit grey, not"),
        (png("I;16", 64), "has 64 x 64 pixels, 16-bit grey, not"),
        (png("L", 64) + b"hidden", "is not a PNG of pixels and nothing else, or damaged"),
        (b"GIF89a", "is not a PNG"),
        (png("L", 64)[:60], "is not a PNG of pixels and nothing else, or damaged"),
        (png("L", 64)[:60] + png("L", 64)[-12:], "is not a PNG of pixels"),
        (png("L", 64)[:33] + b"\0\0\0\1tEXtx9\x1e\x8c\xb9" + png("L", 64)[33:], "is not a PNG of pixels"),
    ],
)
def test_an_image_that_is_not_what_the_manifest_says_is_damaged(
    image: bytes, said: str, ready: SetFolder
) -> None:
    foreign = replace_images(ready, image)
    broken = verify_set(ready.path).broken
    assert len(broken) == 20
    assert said in broken["images-0000.tar/000000.png"]
    with pytest.raises(DamagedObject, match=said):
        SetReader(foreign).grey(0)
