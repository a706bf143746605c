"""Sets with boxes in the forms that detectors are trained from: COCO, PASCAL VOC, YOLO."""

import json
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chestgan_core.cli.main import main
from chestgan_core.errors import BadInput, DiskFull
from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.files import read_layouts
from chestgan_core.local.output import MARKER
from chestgan_core.publishing.forms import convert
from chestgan_core.publishing.forms.content import Content
from chestgan_core.publishing.forms.convert import convert_set, write_form
from chestgan_core.publishing.forms.items import Item, label_of, levels_dtype
from chestgan_core.publishing.forms.registry import FORMS
from chestgan_core.publishing.forms.source import read_form
from chestgan_core.publishing.forms.voc import annotation
from chestgan_core.publishing.forms.yolo import lines_of
from chestgan_core.publishing.reader.levels import sha256_of_levels
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.sources.annotations.voc import MIN_EDGE, read_voc
from chestgan_core.training.weights import LoadedGenerator
from tests.publishing import form_images

DETECTION = [name for name, form in FORMS.items() if form.items is None]
BOXES = (1, 0, 3, None)  # of the images, in turn


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SetFacts]:
    """Ten images of classes A and B: of two nothing is known about tumours."""
    of = form_images.facts(images=10, classes=("A", "B"), resolution=32)
    return form_images.made(tmp_path_factory.mktemp("made") / "tar", of, boxes=BOXES), of


def known(of: SetFacts) -> list[Item]:
    return [item for item in form_images.items(of, BOXES) if item[1]["boxes"] is not None]


def contents(folder: Path) -> dict[str, bytes]:
    """What is in a folder and below, by path."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def require_coco(found: dict[str, Any]) -> None:
    """What programs that read COCO rely on (https://cocodataset.org/#format-data), field by field."""
    assert list(found) == ["info", "licenses", "categories", "images", "annotations"]
    ids = {
        name: [one["id"] for one in found[name]]
        for name in ("licenses", "categories", "images", "annotations")
    }
    for name, numbers in ids.items():
        assert all(type(number) is int for number in numbers), name
        assert len(set(numbers)) == len(numbers), name
    assert all(number > 0 for number in ids["annotations"])
    sides = {}
    for image in found["images"]:
        assert image["license"] in ids["licenses"]
        assert all(type(image[side]) is int and image[side] > 0 for side in ("width", "height"))
        assert re.fullmatch(r"images/\d{6}\.png", image["file_name"])
        sides[image["id"]] = image["width"], image["height"]
    for one in found["annotations"]:
        x, y, width, height = one["bbox"]
        assert all(type(number) in (int, float) and math.isfinite(number) for number in one["bbox"])
        assert width > 0 < height
        assert 0 <= x < x + width <= sides[one["image_id"]][0] + 1e-6
        assert 0 <= y < y + height <= sides[one["image_id"]][1] + 1e-6
        assert one["area"] == pytest.approx(width * height, abs=1e-6)
        assert (one["iscrowd"], one["category_id"] in ids["categories"]) == (0, True)


def test_coco_lists_every_image_whose_tumours_are_known_and_each_box(
    tars: tuple[Path, SetFacts], tmp_path: Path
) -> None:
    folder, of = tars
    assert convert_set(folder, "coco", tmp_path / "out").left_out == 2
    found = json.loads((tmp_path / "out" / "annotations.json").read_text(encoding="utf-8"))
    require_coco(found)
    assert "SYNTHETIC images, not of persons" in found["info"]["description"]
    assert found["licenses"] == [{"id": 1, "name": "none needed", "url": ""}]
    images = {one["id"]: one for one in found["images"]}
    assert list(images) == [label["index"] for _, label in known(of)]
    for levels, label in known(of):
        said = images[label["index"]]
        assert {name: said[name] for name in ("seed", "class", "position", "sha256")} == {
            name: label[name]  # type: ignore[literal-required]
            for name in ("seed", "class", "position", "sha256")
        }
        assert np.array_equal(np.array(Image.open(tmp_path / "out" / said["file_name"])), levels)
        boxes = [one["bbox"] for one in found["annotations"] if one["image_id"] == label["index"]]
        edges = np.array([[x, y, x + width, y + height] for x, y, width, height in boxes])
        assert np.allclose(edges.reshape(-1, 4), np.array(label["boxes"]).reshape(-1, 4))


def test_what_a_set_was_asked_for_can_be_asked_again_by_its_coco_file(
    asking: LoadedGenerator, provenance: dict[str, str], tmp_path: Path
) -> None:
    experiment = asking.experiment
    made = write_set(*(asking, experiment, 12, 5, tmp_path / "set", provenance), tumour_fraction=0.5)
    convert_set(made.path, "coco", tmp_path / "coco")
    askable = Askable(64, (), experiment.conditions, asking.layouts)
    again = read_layouts(tmp_path / "coco" / "annotations.json", askable)
    labels = [label for _, label in read_form(made.path)]
    assert [one.seed for one in again] == [label["seed"] for label in labels]
    assert [one.layout.position for one in again] == [label["position"] for label in labels]
    for one, label in zip(again, labels, strict=True):
        found, asked = (np.array(some).reshape(-1, 4) for some in (one.layout.boxes, label["boxes"]))
        assert np.allclose(found, asked, atol=1e-6)


@st.composite
def a_box(draw: st.DrawFn) -> tuple[float, ...]:
    """In hundredths of a pixel of an image of 64 x 64, at least as large as a tumour that is read."""
    low = [draw(st.integers(0, 6400 - 100 * MIN_EDGE)) for _ in range(2)]
    high = [draw(st.integers(one + 100 * MIN_EDGE, 6400)) for one in low]
    return tuple(one / 100 for one in (*low, *high))


boxes_of_an_image = st.lists(a_box(), max_size=8)


def labelled(boxes: Any) -> tuple[Any, Content]:
    of = form_images.facts(images=1, resolution=64)
    label = label_of(of, 0, [list(box) for box in boxes], None, "ab" * 32)
    return label, Content(of, "0123456789abcdef", 1)


@given(boxes=boxes_of_an_image)
@settings(max_examples=60, deadline=None)
def test_the_projects_own_reader_finds_the_boxes_of_voc_within_a_pixel(boxes: Any) -> None:
    label, content = labelled(boxes)
    data = annotation(label, content).encode()
    root = ElementTree.fromstring(data)
    assert [root.findtext(f"size/{name}") for name in ("width", "height", "depth")] == ["64", "64", "1"]
    assert "SYNTHETIC" in (root.findtext("source/database") or "")
    found = read_voc(data, "1.2.840.1", "nobody").boxes
    assert len(found) == len(boxes)
    for one, box in zip(found, boxes, strict=True):
        assert one.edges == (math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3]))
        assert (one.image_width, one.image_height) == (64, 64)


@given(boxes=boxes_of_an_image)
@settings(max_examples=60, deadline=None)
def test_lines_of_yolo_give_back_the_boxes(boxes: Any) -> None:
    label, _ = labelled(boxes)
    lines = lines_of(label, 64).splitlines()
    assert len(lines) == len(boxes)
    for line, box in zip(lines, boxes, strict=True):
        kind, *numbers = line.split(" ")
        x, y, width, height = (float(number) for number in numbers)
        assert (kind, all(0 <= number <= 1 for number in (x, y, width, height))) == ("0", True)
        edges = [64 * one for one in (x - width / 2, y - height / 2, x + width / 2, y + height / 2)]
        assert edges == pytest.approx(box, abs=1e-3)


def test_voc_and_yolo_have_a_file_for_each_image_also_without_a_tumour(
    tars: tuple[Path, SetFacts], tmp_path: Path
) -> None:
    folder, of = tars
    convert_set(folder, "voc", tmp_path / "voc")
    convert_set(folder, "yolo", tmp_path / "yolo")
    for levels, label in known(of):
        stem = f"{label['index']:06d}"
        root = ElementTree.fromstring((tmp_path / "voc" / "annotations" / f"{stem}.xml").read_bytes())
        assert len(root.findall("object")) == len(label["boxes"] or ())
        assert {one.findtext("name") for one in root.iter("object")} <= {"lung tumour"}
        assert root.findtext("filename") == f"{stem}.png"
        lines = (tmp_path / "yolo" / "labels" / "train" / f"{stem}.txt").read_text().splitlines()
        assert len(lines) == len(label["boxes"] or ())
        for path in (tmp_path / "voc" / "images", tmp_path / "yolo" / "images" / "train"):
            assert np.array_equal(np.array(Image.open(path / f"{stem}.png")), levels)
    names = {Path(name).stem for name in contents(tmp_path / "voc") if name.startswith("annotations/")}
    assert names == {f"{label['index']:06d}" for _, label in known(of)}
    text = (tmp_path / "yolo" / "data.yaml").read_text()
    assert text.startswith("# SYNTHETIC images, not of persons, not for diagnosis. Set made 0123456789abcdef")
    assert yaml.safe_load(text) == {
        "path": ".",
        "train": "images/train",
        "val": "images/val",
        "names": {0: "lung tumour"},
    }


@pytest.mark.parametrize("form", DETECTION)
def test_images_of_which_nothing_is_known_are_left_out_counted_and_said(
    form: str, tars: tuple[Path, SetFacts], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, of = tars
    out = tmp_path / "out"
    assert main(["sets", "convert", str(folder), "--to", form, "--out", str(out)]) == 0
    assert "8 images of made" in (said := capsys.readouterr().err)
    assert "2 left out, of which is not known where their tumours are" in said
    described = json.loads((out / "form.json").read_text())
    assert (described["images"], described["left_out"], described["set"]["images"]) == (8, 2, 10)
    pngs = [name for name in contents(out) if name.endswith(".png")]
    assert len(pngs) == len(known(of)) == 8


@pytest.mark.parametrize("form", DETECTION)
def test_chosen_images_are_the_first_whose_tumours_are_known(
    form: str, tars: tuple[Path, SetFacts], tmp_path: Path
) -> None:
    folder, of = tars
    done = convert_set(folder, form, tmp_path / "out", classes=["B"], count=2)
    expected = [label["index"] for _, label in known(of) if label["class"] == "B"][:2]
    assert done.images == 2
    assert (
        sorted(int(Path(name).stem) for name in contents(tmp_path / "out") if name.endswith(".png"))
        == expected
    )


@pytest.mark.parametrize("form", DETECTION)
def test_a_set_whose_images_nobody_asked_for_tumours_is_no_set_of_images_without_tumours(
    form: str, ready: SetFolder, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="tiny: has no boxes: its generator was not told where tumours are"):
        convert_set(ready.path, form, tmp_path / "out")
    of = form_images.facts(images=3)
    form_images.made(tmp_path / "unknown", of, boxes=(None,))
    with pytest.raises(BadInput, match="of none is known where its tumours are"):
        convert_set(tmp_path / "unknown", form, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", DETECTION)
def test_forms_of_detectors_are_not_read_back(form: str, tars: tuple[Path, SetFacts], tmp_path: Path) -> None:
    convert_set(tars[0], form, tmp_path / "out")
    with pytest.raises(BadInput, match=f"holds the form {form}, which is for detectors and is not read back"):
        read_form(tmp_path / "out")


@pytest.mark.parametrize("form", DETECTION)
def test_a_conversion_that_was_interrupted_is_completed(
    form: str, tars: tuple[Path, SetFacts], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = iter(range(100))

    def die(*_: object) -> None:
        if next(steps) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(convert.Progress, "step", die)
        with pytest.raises(KeyboardInterrupt):
            convert_set(tars[0], form, tmp_path / "out")
    assert not (tmp_path / "out" / "form.json").exists()
    convert_set(tars[0], form, tmp_path / "out")
    convert_set(tars[0], form, tmp_path / "at-once")
    assert contents(tmp_path / "out") == contents(tmp_path / "at-once")


@pytest.mark.parametrize("form", DETECTION)
def test_names_and_titles_of_strangers_break_no_file(form: str, tmp_path: Path) -> None:
    title = 'a "title" </database> & \u001b[31m\nval: /etc # {}'
    of = form_images.facts(images=2, classes=("A,\n<b>", "B"), source_title=title, source_licence=title)
    form_images.made(tmp_path / "tar", of)
    convert_set(tmp_path / "tar", form, tmp_path / "out")
    files = contents(tmp_path / "out")
    if form == "coco":
        require_coco(json.loads(files["annotations.json"]))
    elif form == "voc":
        for name, data in files.items():
            if name.endswith(".xml"):
                ElementTree.fromstring(data)
    else:
        assert yaml.safe_load(files["data.yaml"])["val"] == "images/val"


@pytest.mark.parametrize("form", DETECTION)
def test_memory_does_not_grow_with_the_images(form: str, tmp_path: Path) -> None:
    import tracemalloc

    of = form_images.facts(images=40, resolution=256)  # 2.6 MB of levels
    form_images.made(tmp_path / "tar", of, boxes=(1, 0))

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            convert_set(tmp_path / "tar", form, tmp_path / f"{count}", count=count)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)  # imports
    assert peak(40) - peak(8) < 32 * 256**2 / 10


@pytest.mark.parametrize("form", DETECTION)
def test_a_full_disk_is_said_in_one_line(form: str, tars: tuple[Path, SetFacts], tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        with pytest.raises(DiskFull) as error:
            convert_set(tars[0], form, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "form.json").exists()


def test_boxes_that_touch_an_edge_of_the_image_are_said_to_be_cut(tmp_path: Path) -> None:
    label, content = labelled([(0.0, 4.0, 8.0, 9.0), (3.0, 4.0, 8.0, 9.0)])
    root = ElementTree.fromstring(annotation(label, content))
    assert [one.findtext("truncated") for one in root.iter("object")] == ["1", "0"]


def test_16_bits_stay_16_bits(tmp_path: Path) -> None:
    of = form_images.facts(images=1, bits=16)
    levels = np.full((8, 8), 65_535, levels_dtype(16))
    items = [(levels, label_of(of, 0, [], None, sha256_of_levels(levels, 16)))]
    (tmp_path / "coco").mkdir()
    write_form(tmp_path / "coco", FORMS["coco"], Content(of, "0123456789abcdef", 1), iter(items))
    assert np.array(Image.open(tmp_path / "coco" / "images" / "000000.png")).max() == 65_535
