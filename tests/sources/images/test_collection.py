"""Collections of images: which files of folders and zips are used, which are duplicates, and what is kept."""

import hashlib
import io
import os
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chestgan_core.config.dataset import dataset_named
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.imaging.perceptual_hash import NEAR, near_pairs
from chestgan_core.sources.images.collection import collect_images, open_images, summarize_images
from chestgan_core.sources.images.decoding import MAX_PIXELS, UnusableImage, decode_image
from chestgan_core.sources.images.image_rows import ImageRow, ImageStatus
from chestgan_core.sources.images.zips import read_zips
from chestgan_core.store import keys
from chestgan_core.store.store import Store
from tests.sources.images.pictures import SPLITS, TOKENS, declare, drawn, encoded, marked, put


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the dataset `pictures` (with split folders) reads."""
    declare(tmp_path / "datasets", monkeypatch)
    monkeypatch.setenv("TEST_IMAGES", str(tmp_path / "delivery"))
    return tmp_path / "delivery"


def statuses(store: Store, tmp_path: Path) -> dict[str, str]:
    collect_images(store, "pictures", tmp_path)
    return {row.path: row.status for row in open_images(store, "pictures").rows}


def test_class_folders_named_differently_in_each_split_are_one_class(root, store, tmp_path):
    names = [
        "Data/train/adeno_T2_N0/1.png",
        "Data/train/adeno_T2_N0/1 (2).png",
        "Data/test/adeno/7 - Copy.png",
    ]
    put(root, {name: drawn(seed) for seed, name in enumerate([*names, "Data/valid/normal/n 1.jpg"])})
    stored = collect_images(store, "pictures", tmp_path)
    assert stored.by_class == [("adeno", "test", 1, 1), ("adeno", "train", 2, 2), ("normal", "valid", 1, 1)]
    assert (stored.images, stored.selected, stored.left_out) == (4, 4, {})


def test_classes_whose_names_differ_only_in_letters_that_keys_cannot_have_stay_distinct(
    root, store, tmp_path
):
    names = ["COVID-19 阳性", "COVID-19 阴性", "正常", "Lung cancer"]
    put(root, {f"{name}/1.png": drawn(seed) for seed, name in enumerate(names)})
    stored = collect_images(store, "pictures", tmp_path)
    classes = {name for name, *_ in stored.by_class}
    assert len(classes) == 4
    assert "Lung-cancer" in classes
    assert stored.selected == 4


def test_every_file_has_a_row_and_a_status(root, store, tmp_path):
    whole = encoded(drawn(1))
    put(
        root,
        {
            "train/a/1.png": whole,
            "test/a/2.png": drawn(2),
            "train/a/broken.png": whole[: len(whole) // 2],
            "train/a/empty.jpeg": b"",
            "train/a/notes.txt": b"read me",
            "train/a/.DS_Store": b"x",
            "__MACOSX/train/a/._1.png": whole,
            "train/top.png": drawn(3),
            "other/a/4.png": drawn(4),
        },
    )
    drawn(5).save(root / "train/a/film.gif", save_all=True, append_images=[drawn(6)])
    assert statuses(store, tmp_path) == {
        "train/a/1.png": "selected",
        "test/a/2.png": "selected",
        "train/a/broken.png": "unreadable",
        "train/a/empty.jpeg": "unreadable",
        "train/a/notes.txt": "not-an-image",
        "train/a/.DS_Store": "hidden",
        "__MACOSX/train/a/._1.png": "hidden",
        "train/top.png": "no-class",
        "other/a/4.png": "no-split",
        "train/a/film.gif": "several-frames",
    }


def test_images_of_a_synthetic_set_are_left_out_unless_the_dataset_accepts_them(
    root, store, tmp_path, monkeypatch
):
    label = b'{"boxes": [], "class": "A", "index": 0, "seed": 7, "sha256": "' + b"0" * 64 + b'"}'
    put(
        root,
        {
            "train/a/real.png": drawn(1),
            "train/a/real.json": b'{"seed": 7}',
            "train/a/made.png": drawn(2),
            "train/a/made.json": label,
            "train/set/manifest.json": b'{"format": 2, "kind": "synthetic-set", "objects": []}',
            "train/set/deeper/3.png": drawn(3),
            "train/form/form.json": b'{"kind": "synthetic-set-form"}',
            "train/form/4.png": drawn(4),
            "test/loose/.chestgan": b'{"kind": "images", "of": "of the generator 0123456789abcdef"}',
            "test/loose/seed-000000.png": drawn(5),
            "test/a/6.png": drawn(6),
            "test/a/manifest.json": b'{"kind": "raw-images"}',
        },
    )
    with tarfile.open(root / "images-0000.tar", "w") as tar:
        for name, data in (("000000.png", encoded(drawn(7))), ("000000.json", label)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    found = statuses(store, tmp_path)
    assert {path: status for path, status in found.items() if path.endswith(".png")} == {
        "train/a/real.png": "selected",
        "test/a/6.png": "selected",
        "train/a/made.png": "synthetic",
        "train/set/deeper/3.png": "synthetic",
        "train/form/4.png": "synthetic",
        "test/loose/seed-000000.png": "synthetic",
        "images-0000.tar/000000.png": "synthetic",
    }
    with (tmp_path / "datasets" / "pictures.yaml").open("a") as description:
        description.write("synthetic: accept\n")
    assert "synthetic" not in statuses(store, tmp_path).values()


def test_a_folder_and_archives_of_it_give_the_same_images(root, store, tmp_path, monkeypatch):
    put(root, {f"train/a/{seed}.png": drawn(seed) for seed in range(3)} | {"test/b/9.png": drawn(9)})
    alone, inside = tmp_path / "alone.zip", tmp_path / "inside" / "archive.zip"
    inside.parent.mkdir()
    for path in (alone, inside):
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(root.rglob("*.png")):
                archive.write(file, f"Data/{file.relative_to(root)}")
    packed = tmp_path / "packed.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(root, "Data")
    found = []
    for place in (root, alone, inside.parent, packed):
        monkeypatch.setenv("TEST_IMAGES", str(place))
        collect_images(store, "pictures", tmp_path)
        rows = open_images(store, "pictures").rows
        found.append(sorted((row.split, row.class_name, row.sha256, row.status) for row in rows))
    assert all(one == found[0] for one in found)
    assert len(found[0]) == 4


def test_a_zip_cannot_name_a_file_outside_of_itself(root, store, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../train/a/1.png", encoded(drawn(1)))
        archive.writestr("train/a/2.png", encoded(drawn(2)))
    monkeypatch.setenv("TEST_IMAGES", str(tmp_path / "evil.zip"))
    assert sorted(statuses(store, tmp_path).values()) == ["selected", "unsafe-name"]


def test_what_is_no_picture_and_no_archive_that_can_be_read_has_a_status_of_its_own(root, store, tmp_path):
    put(
        root,
        {"train/a/1.png": drawn(1), "test/a/2.png": drawn(2), "train/a.rar": b"Rar!\x1a\x07\x00" + bytes(99)},
    )
    (tmp_path / "outside.png").write_bytes(encoded(drawn(3)))
    (root / "train/a/3.png").symlink_to(tmp_path / "outside.png")
    os.mkfifo(root / "train/a/4.png")
    found = statuses(store, tmp_path)
    assert found["train/a.rar"] == "archive"
    assert found["train/a/3.png"] == found["train/a/4.png"] == "special-file"
    assert list(found.values()).count("selected") == 2


def test_a_decompression_bomb_is_not_decoded():
    edge = int(MAX_PIXELS**0.5) + 1
    bomb = io.BytesIO()
    Image.new("1", (edge, edge)).save(bomb, "PNG")
    assert len(bomb.getvalue()) < 100_000
    with pytest.raises(UnusableImage) as refused:
        decode_image(bomb.getvalue(), ".png")
    assert refused.value.status == ImageStatus.TOO_LARGE


GREY = np.tile(np.arange(256, dtype=np.uint8), (16, 1))


def alpha_copy() -> Image.Image:
    return Image.merge("RGBA", [Image.fromarray(GREY)] * 4)


@pytest.mark.parametrize(
    ("image", "form"),
    [
        (Image.fromarray(GREY), "PNG"),
        (Image.fromarray(GREY).convert("RGB"), "BMP"),
        (Image.fromarray(GREY).convert("RGBA"), "PNG"),
        (Image.fromarray(GREY).convert("P"), "PNG"),
        (Image.fromarray(GREY.astype(np.uint16) * 257), "PNG"),
        (Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF"),
        (alpha_copy(), "PNG"),
    ],
    ids=[
        "grey",
        "RGB",
        "opaque RGBA",
        "palette",
        "16 bit PNG",
        "16 bit TIFF",
        "alpha that repeats the grey levels",
    ],
)
def test_grey_levels_do_not_depend_on_the_format_of_the_file(image, form):
    assert np.array_equal(decode_image(encoded(image, form), "." + form.lower()).grey, GREY)


def test_colour_becomes_luma():
    pixels = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8))
    assert decode_image(encoded(pixels), ".png").grey.tolist() == [[76, 150, 29]]


def test_equal_images_on_one_side_are_used_once_whatever_their_file_format(root, store, tmp_path):
    image = drawn(1)
    put(root, {"train/a/1.png": image, "train/a/1 - Copy (2).png": image, "train/a/1.bmp": image})
    put(root, {"test/a/2.png": drawn(2)})
    stored = collect_images(store, "pictures", tmp_path)
    rows = {row.path: row for row in open_images(store, "pictures").rows}
    assert stored.left_out == {"duplicate": 2}
    assert rows["train/a/1.png"].twin == rows["train/a/1.bmp"].twin == "train/a/1 - Copy (2).png"
    assert (stored.summary.distinct_files, stored.summary.distinct_images) == (3, 2)


def test_no_held_out_image_is_equal_or_nearly_equal_to_a_training_image(root, store, tmp_path):
    put(root, {f"train/a/{seed}.png": drawn(seed) for seed in range(8)})
    put(root, {"test/a/same.png": drawn(0), "valid/a/marked.png": marked(1), "test/a/new.png": drawn(20)})
    stored = collect_images(store, "pictures", tmp_path)
    used = [row for row in open_images(store, "pictures").rows if row.is_selected]
    sides = ["train" if row.split == "train" else "held-out" for row in used]
    assert not [(i, j) for i, j, _ in near_pairs([row.phash for row in used], NEAR) if sides[i] != sides[j]]
    assert (stored.left_out, stored.across_splits) == ({"duplicate": 1, "near-duplicate": 1}, 2)


def test_duplicates_across_sides_are_left_out_of_the_side_that_loses_the_smaller_fraction(
    root, store, tmp_path
):
    put(root, {f"train/a/{seed}.png": drawn(seed) for seed in range(8)})
    put(root, {"test/a/1.png": marked(1), "test/a/10.png": drawn(10)})
    found = statuses(store, tmp_path)
    assert (found["train/a/1.png"], found["test/a/1.png"]) == ("near-duplicate", "selected")
    # The other way round, with more images held out than trained on.
    put(root, {f"test/a/{seed}.png": drawn(seed) for seed in range(30, 50)})
    found = statuses(store, tmp_path)
    assert (found["train/a/1.png"], found["test/a/1.png"]) == ("selected", "near-duplicate")


def test_an_image_with_two_classes_is_left_out_of_both(root, store, tmp_path):
    put(
        root, {"train/large/1.png": drawn(1), "train/squamous/1.png": drawn(1), "test/large/1.png": marked(1)}
    )
    put(root, {"train/large/2.png": drawn(2), "test/squamous/3.png": drawn(3)})
    stored = collect_images(store, "pictures", tmp_path)
    assert stored.left_out == {"two-classes": 3}
    assert stored.summary.two_classes == 1


def test_the_patient_of_an_image_is_in_its_name_or_is_its_group(root, store, tmp_path, monkeypatch):
    declare(tmp_path / "datasets", monkeypatch, TOKENS)
    put(
        root,
        {
            "train/a/p1_1.png": drawn(1),
            "test/a/p1_2.png": drawn(2),
            "a/x.png": drawn(3),
            "a/y.png": marked(3),
        },
    )
    collect_images(store, "pictures", tmp_path)
    rows = {row.path: row for row in open_images(store, "pictures").rows}
    assert rows["train/a/p1_1.png"].patient == rows["test/a/p1_2.png"].patient == "p1"
    assert rows["a/x.png"].patient == rows["a/y.png"].patient == keys.checked_name(rows["a/x.png"].patient)
    assert all(row.is_selected for row in rows.values())


def test_without_sides_near_duplicates_stay_with_one_patient(root, store, tmp_path, monkeypatch):
    declare(tmp_path / "datasets", monkeypatch, TOKENS)
    files = {"a/p1_1.png": drawn(1), "a/p1_2.png": marked(1), "a/p2_1.png": drawn(1), "a/p2_2.png": drawn(2)}
    files["a/p2_3.png"] = drawn(1).resize((60, 40), Image.Resampling.LANCZOS)
    put(root, files)
    found = statuses(store, tmp_path)
    assert {name[2:]: status for name, status in found.items()} == {
        "p1_1.png": "selected",
        "p1_2.png": "selected",
        "p2_1.png": "duplicate",
        "p2_2.png": "selected",
        "p2_3.png": "near-duplicate",
    }


def test_a_copy_without_the_split_folders_is_read_without_splits(root, store, tmp_path):
    put(root, {"a/1.png": drawn(1), "b/2.png": drawn(2)})
    stored = collect_images(store, "pictures", tmp_path)
    assert stored.by_class == [("a", "", 1, 1), ("b", "", 1, 1)]


def test_the_bytes_of_every_image_are_kept_once(root, store, tmp_path):
    put(
        root,
        {"train/a/1.png": drawn(1), "train/a/copy.png": drawn(1), "test/b/2.jpg": drawn(2), "x.txt": b"no"},
    )
    stored = collect_images(store, "pictures", tmp_path)
    collection = open_images(store, "pictures")
    fetched = store.fetch(collection.artefact, tmp_path / "fetched")
    zips = [path for name, path in fetched.items() if name.endswith(".zip")]
    images = [row for row in collection.rows if row.is_image]
    kept = {row.path: data for row, data in read_zips(zips, images)}
    assert kept == {
        path: (root / path).read_bytes() for path in ("train/a/1.png", "train/a/copy.png", "test/b/2.jpg")
    }
    assert sum(len(zipfile.ZipFile(path).namelist()) for path in zips) == 2
    assert Image.open(io.BytesIO(stored.contact_sheet_png)).width > 100


def test_a_collection_that_lost_an_object_gets_it_back(root, store, tmp_path):
    put(root, {"train/a/1.png": drawn(1), "test/a/2.png": drawn(2)})
    collect_images(store, "pictures", tmp_path)
    (lost,) = [
        item.key for item in open_images(store, "pictures").artefact.objects if item.key.endswith(".zip")
    ]
    store.delete(lost)
    collect_images(store, "pictures", tmp_path)
    assert store.head(lost) is not None


def test_the_version_names_the_content(root, store, tmp_path):
    put(root, {"train/a/1.png": drawn(1), "test/a/2.png": drawn(2)})
    first = collect_images(store, "pictures", tmp_path)
    assert collect_images(store, "pictures", tmp_path) == first
    put(root, {"test/a/3.png": drawn(3)})
    second = collect_images(store, "pictures", tmp_path)
    assert second.version != first.version
    assert open_images(store, "pictures").version == second.version
    assert open_images(store, "pictures", first.version).version == first.version


def test_an_image_whose_stored_bytes_are_damaged_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "images-000.zip", "w") as archive:
        archive.writestr(hashlib.sha256(b"right").hexdigest() + ".png", b"wrong")
    row = ImageRow("a/1.png", "", "a", sha256=hashlib.sha256(b"right").hexdigest())
    with pytest.raises(BadInput, match="materialize raw_images"):
        list(read_zips([tmp_path / "images-000.zip"], [row]))


def test_a_copy_with_another_suffix_has_the_bytes_that_were_kept(root, store, tmp_path):
    same = encoded(drawn(1), "JPEG")
    put(
        root,
        {"test/a/0.jpeg": same, "train/a/1.jpg": same, "test/a/2.png": drawn(2), "test/a/3.png": drawn(3)},
    )
    collect_images(store, "pictures", tmp_path)
    collection = open_images(store, "pictures")
    zips = [p for p in store.fetch(collection.artefact, tmp_path / "fetched").values() if p.suffix == ".zip"]
    images = [row for row in collection.rows if row.is_image]
    assert {data for row, data in read_zips(zips, images) if row.path[-3:] != "png"} == {same}


@pytest.mark.parametrize("source", [SPLITS, TOKENS], ids=["by folder", "by patient"])
def test_the_twin_of_an_image_that_is_left_out_is_used(source, root, store, tmp_path, monkeypatch):
    declare(tmp_path / "datasets", monkeypatch, source)
    first, second = drawn(1), marked(1)
    files = {"train/a/p1_1.png": first, "train/a/p1_2.png": first.resize((180, 120))}
    files |= {f"test/a/p2_{at}.png": image for at, image in enumerate([second, second, drawn(2)])}
    put(root, files | {f"train/a/p1_{seed}.png": drawn(seed) for seed in range(10, 16)})
    collect_images(store, "pictures", tmp_path)
    rows = {row.path: row for row in open_images(store, "pictures").rows}
    left_out = [row for row in rows.values() if not row.is_selected]
    assert len(left_out) >= 2
    for row in left_out:
        twin = rows[row.twin]
        assert twin.is_selected
        assert (row.status == "duplicate") == (row.pixels_sha256 == twin.pixels_sha256)


@pytest.mark.parametrize(
    ("files", "cause"),
    [({}, "empty"), ({"train/a/notes.txt": b"x"}, "not-an-image 1"), ({"train/1.png": b"x"}, "unreadable 1")],
)
def test_a_folder_without_images_is_refused_with_the_reasons(root, store, tmp_path, files, cause):
    root.mkdir()
    put(root, files)
    with pytest.raises(BadInput, match=cause):
        collect_images(store, "pictures", tmp_path)


def test_datasets_of_dicom_and_private_images_are_refused(root, store, tmp_path):
    with pytest.raises(BadInput, match="series_catalog"):
        collect_images(store, "phantom", tmp_path)
    yaml = tmp_path / "datasets" / "pictures.yaml"
    yaml.write_text(yaml.read_text().replace("private: false", "private: true"))
    with pytest.raises(BadInput, match="identify a person"):
        collect_images(store, "pictures", tmp_path)


def test_a_collection_that_is_not_in_the_store_names_the_asset(root, store):
    with pytest.raises(NotInStore, match="raw_images"):
        open_images(store, "pictures")


def test_the_summary_adds_up(root):
    put(
        root,
        {"train/a/1.png": drawn(1), "test/a/1.png": marked(1), "train/b/2.png": drawn(2), "x.csv": b"1,2"},
    )
    summary = summarize_images("pictures", root)
    assert summary.files == summary.selected + sum(summary.left_out.values())
    assert "near-duplicates: 1 groups, 1 of them across splits" in summary.text()
    assert summary.as_json()["left_out"] == {"near-duplicate": 1, "not-an-image": 1}


def test_the_real_chest_ct_images(real_data):
    summary = summarize_images("chest_ct_scan_images", real_data / "chest-ct-scan-images")
    counted = {(each.class_name, each.split): each.images for each in summary.by_class}
    assert {name for name, _ in counted} == {
        "adenocarcinoma",
        "large.cell.carcinoma",
        "normal",
        "squamous.cell.carcinoma",
    }
    assert (summary.files, summary.distinct_files, summary.duplicate_groups) == (286, 281, 5)
    assert (summary.near_groups, summary.across_splits) == (7, 1)
    # One of the five copies is of a training image that is left out for a nearly equal held-out one.
    assert summary.left_out == {"duplicate": 4, "near-duplicate": 2}
    assert counted["normal", "train"] == 30


def test_the_real_chest_x_rays(real_data):
    summary = summarize_images("chest_xray_pneumonia", real_data / "chest-xray-pneumonia")
    assert (summary.images, summary.selected, summary.patients) == (379, 379, 295)
    # person113 and person130
    assert summary.patients_across_splits == 2
    assert (summary.near_groups, summary.duplicate_groups) == (0, 0)


def test_the_real_chest_x_rays_with_viral_pneumonia_are_told_by_their_names(real_data):
    folder = real_data / "chest-xray-pneumonia"
    for name in ("chest_xray_viral_pneumonia", "chest_xray_viral_pneumonia_512"):
        summary = summarize_images(name, folder)
        assert (summary.files, summary.selected, summary.patients) == (379, 80, 68)
        assert summary.left_out == {"not-included": 299}
        assert {each.class_name for each in summary.by_class} == {"PNEUMONIA"}


def decomposed(name: str) -> str:
    return unicodedata.normalize("NFD", name)


def test_the_same_folder_in_another_unicode_form_case_or_with_a_blank_is_one_class(root, store, tmp_path):
    names = ["größe", decomposed("größe"), "Größe", "größe "]
    files = {f"train/{name}/{at}.png": drawn(10 + at) for at, name in enumerate(names)}
    put(root, files | {"test/größe/9.png": drawn(9), "test/other/8.png": drawn(8)})
    stored = collect_images(store, "pictures", tmp_path)
    assert len(stored.by_class) == 3
    classes = {name for name, _, _, _ in stored.by_class}
    assert len(classes) == 2
    assert {(split, images) for name, split, images, _ in stored.by_class if name != "other"} == {
        ("train", 4),
        ("test", 1),
    }


def test_split_folders_and_patients_are_compared_alike(root, store, tmp_path, monkeypatch):
    source = '  splits: {"hälfte": train, test: held-out}\n  patient_name: "^(p-?[^_]+)_"'
    declare(tmp_path / "datasets", monkeypatch, source)
    put(
        root,
        {
            f"{decomposed('hälfte')}/a/{decomposed('pä')}_1.png": drawn(1),
            "HÄLFTE/a/pä_2.png": drawn(2),
            "Test/a/Pö_3.png": drawn(3),
            "test/a/pö_4.png": drawn(4),
        },
    )
    collect_images(store, "pictures", tmp_path)
    rows = open_images(store, "pictures").rows
    assert {row.status for row in rows} == {"selected"}
    assert sorted(row.split for row in rows) == ["hälfte", "hälfte", "test", "test"]
    assert len({row.patient for row in rows if row.split == "hälfte"}) == 1


def test_two_names_of_one_split_folder_are_refused(root, tmp_path, monkeypatch):
    declare(tmp_path / "datasets", monkeypatch, "  splits: {train: train, Train: held-out}")
    with pytest.raises(BadInput, match="upper and lower case"):
        summarize_images("pictures", root)


def test_odd_pictures_are_left_out_with_their_reason(root, store, tmp_path):
    grey = np.asarray(drawn(1))
    put(root, {"train/a/1.png": drawn(1), "test/a/2.png": drawn(2)})
    put(root, {"train/a/black.png": Image.new("L", (90, 60)), "train/a/x.heic": b"ftyp"})
    put(root, {"train/a/raw.png": Image.fromarray(grey.astype(np.uint16) * 8)})
    put(root, {"train/a/clear.png": Image.merge("RGBA", [drawn(3)] * 3 + [Image.new("L", (90, 60))])})
    assert collect_images(store, "pictures", tmp_path).left_out == {
        "no-contrast": 1,
        "other-format": 1,
        "raw-values": 1,
        "transparent": 1,
    }


def test_a_dataset_may_take_files_of_some_paths_only(root, store, tmp_path, monkeypatch):
    declare(tmp_path / "datasets", monkeypatch, '  include_paths: ["virus[^/]*$", "^kept/"]')
    put(
        root,
        {
            "train/a/p1_virus_1.png": drawn(1),
            "test/a/p2_VIRUS_2.png": drawn(2),
            "kept/a/3.png": drawn(3),
            # In the name of a folder, of another file, and a copy of an image that is used.
            "virus/a/4.png": drawn(4),
            "train/b/p1_bacteria_1.png": drawn(1),
            "train/b/notes.txt": b"read me",
            "train/a/virus.txt": b"read me",
        },
    )
    assert statuses(store, tmp_path) == {
        "train/a/p1_virus_1.png": "selected",
        "test/a/p2_VIRUS_2.png": "selected",
        "kept/a/3.png": "selected",
        "virus/a/4.png": "not-included",
        "train/b/p1_bacteria_1.png": "not-included",
        "train/b/notes.txt": "not-included",
        "train/a/virus.txt": "not-an-image",
    }
    collection = open_images(store, "pictures")
    files = store.fetch(collection.artefact, tmp_path / "fetched")
    kept = [
        name for path in files.values() if path.suffix == ".zip" for name in zipfile.ZipFile(path).namelist()
    ]
    assert len(kept) == 3  # what the rule leaves out is not stored either


def test_what_a_rule_leaves_out_has_no_part_in_the_split(root, store, tmp_path, monkeypatch):
    declare(tmp_path / "datasets", monkeypatch, SPLITS + '\n  include_paths: ["^flat/"]')
    put(root, {"train/a/1.png": drawn(1), "test/a/2.png": drawn(2), "flat/a/3.png": drawn(3)})
    assert statuses(store, tmp_path)["flat/a/3.png"] == "selected"


def test_a_rule_finds_names_in_either_form_of_their_accents(root, store, tmp_path, monkeypatch):
    declare(tmp_path / "datasets", monkeypatch, f'  include_paths: ["{decomposed("größe")}"]')
    put(root, {"a/größe 1.png": drawn(1), f"a/{decomposed('größe')} 2.png": drawn(2), "a/3.png": drawn(3)})
    assert sorted(statuses(store, tmp_path).values()) == ["not-included", "selected", "selected"]


def test_a_rule_that_no_file_meets_is_named_and_a_pattern_that_is_none_is_refused(
    root, tmp_path, monkeypatch
):
    put(root, {"a/1.png": drawn(1)})
    declare(tmp_path / "datasets", monkeypatch, '  include_paths: ["virus"]')
    with pytest.raises(BadInput, match=r"none of 1 files .*not-included 1.*source.include_paths.*\(virus\)"):
        summarize_images("pictures", root)
    declare(tmp_path / "datasets", monkeypatch, '  include_paths: ["(virus"]', name="wrong")
    with pytest.raises(BadInput, match=r"include_paths: '\(virus' is not a valid regular expression"):
        dataset_named("wrong")
