"""Layouts in files of strangers: each entry is read, or refused with its line."""

import io
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.config.conditions import Conditions, TumourCondition
from chestgan_core.errors import BadInput
from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.csv_layouts import parse_csv, write_csv
from chestgan_core.layouts.files import read_layouts
from chestgan_core.layouts.gathering import NamedLayout
from chestgan_core.layouts.layout import Layout
from tests.layouts.chests import SIZE, table_of_chests

EVERYTHING = Conditions(position=True, tumour=TumourCondition())
COLUMNS = "image,left,top,right,bottom,unit,tumour,position,class"
DRAWN = True


@cache
def askable() -> Askable:
    return Askable(SIZE, ("A", "G"), EVERYTHING, table_of_chests(classes=2))


def of_csv(*lines: str) -> list[NamedLayout]:
    return parse_csv("\n".join(lines), "layouts.csv", askable())


def refusal(*lines: str) -> str:
    with pytest.raises(BadInput) as refused:
        of_csv(*lines)
    return str(refused.value)


def test_a_row_is_a_tumour_and_rows_of_one_image_belong_together() -> None:
    assert of_csv(
        COLUMNS,
        "a,14,28,20,34,,,0.5,G",
        "b,,,,,,,0.4,",
        "a,44,28,50,34,px,,,",
        "c,70,140,100,170,mm,,0.5,",
        "d,,,,,,any,,A",
    ) == [
        ("a", Layout(((14, 28, 20, 34), (44, 28, 50, 34)), 0.5, "G"), None, False),
        ("b", Layout((), 0.4), None, False),
        ("c", Layout(((14, 28, 20, 34),), 0.5), None, False),
        ("d", Layout(None, None, "A"), None, DRAWN),
    ]


def test_columns_come_in_any_order_and_only_image_must_be_there() -> None:
    assert of_csv("position,seed,image", "0.25,7,a", "any,,b") == [
        ("a", Layout((), 0.25), 7, False),
        ("b", Layout(()), None, False),
    ]


boxes = st.tuples(st.floats(8, 18), st.floats(26, 33), st.floats(2, 8), st.floats(2, 8)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
layouts = st.builds(
    Layout,
    st.none() | st.lists(boxes, max_size=8).map(tuple),
    st.none() | st.just(0.5) | st.floats(0.4, 0.6),
    st.sampled_from(["", "A", "G"]),
)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(layouts, st.none() | st.integers(0, 2**32 - 1), st.booleans()), min_size=1, max_size=5)
)
def test_what_is_written_reads_back_as_the_same_layouts(
    written: list[tuple[Layout, int | None, bool]],
) -> None:
    named = [
        NamedLayout(f'image "{number}", one', layout, seed, drawn and layout.position is None)
        for number, (layout, seed, drawn) in enumerate(written)
    ]
    text = io.StringIO(newline="")

    write_csv(named, text)

    assert parse_csv(text.getvalue(), "layouts.csv", askable()) == named


REFUSED = {
    "an unknown column": (
        ("image,lft",),
        "layouts.csv, line 1: has the unknown column 'lft'; did you mean left?",
    ),
    "another separator": (
        ("image;left;top",),
        "layouts.csv, line 1: has the unknown column 'image;left;top'; choose one of ",
    ),
    "a column twice": (("image,image",), "layouts.csv, line 1: names a column twice; the first line names"),
    "no image": (("left,top,right,bottom",), "layouts.csv, line 1: has no column image; "),
    "half a box": (("image,left,top",), "layouts.csv, line 1: has no column right; "),
    "no rows": ((COLUMNS,), "layouts.csv: holds no layouts; the first line names the columns: image,left,"),
    "an empty file": (("",), "layouts.csv: holds no layouts; "),
    "a short row": (
        ("image,position", "a,0.5", "b"),
        "layouts.csv, line 3: has 1 values, not 2; give one for each column, or nothing between two commas",
    ),
    "a row without its image": (("image,position", ",0.5"), "layouts.csv, line 2: names no image; "),
    "a long name": (("image", "a" * 65), "layouts.csv, line 2: names no image; give the image a name of 1 to 64"),
    "a box with a gap": (
        (COLUMNS, "a,14,,20,34,,,,"),
        "layouts.csv, line 2: has no top; give a number with a point, or leave the whole box empty",
    ),
    "a comma in a number": (
        (COLUMNS, 'a,"14,5",28,20,34,,,,'),
        "layouts.csv, line 2: has '14,5' as left; give a number with a point",
    ),
    "a number as only Python writes it": ((COLUMNS, "a,1_4,28,20,34,,,,"), "layouts.csv, line 2: has '1_4' as left; "),
    "digits of another script": ((COLUMNS, "a,١٤,28,20,34,,,,"), "layouts.csv, line 2: has '١٤' as left; "),
    "an unknown unit": ((COLUMNS, "a,1,2,3,4,cm,,,"), "layouts.csv, line 2: has the unknown unit 'cm'; choose "),
    "an unknown word": (
        (COLUMNS, "a,,,,,,maybe,,"),
        "layouts.csv, line 2: says 'maybe' about tumours; say any (nothing is asked) or none, or give a box",
    ),
    "none, and a box": (
        (COLUMNS, "a,14,28,20,34,,none,0.5,"),
        "layouts.csv, line 2: gives a box to the image a, of which it is said that it has none tumour",
    ),
    "two positions": (
        ("image,position", "a,0.5", "a,0.6"),
        "layouts.csv, line 3: gives the image a the position 0.6, and an earlier line 0.5; give it once, or each time",
    ),
    "nine tumours": (
        (COLUMNS, *["a,14,28,20,34,,,0.5,"] * 9),
        "layouts.csv, line 10: is tumour 9 of the image a, at most 8 are possible; leave out the smallest",
    ),
    "a box of no size": ((COLUMNS, "a,14,28,14,34,,,,"), "layouts.csv, line 2: has a tumour of 0 x 6 pixels; "),
    "NaN": ((COLUMNS, "a,nan,28,14,34,,,,"), "layouts.csv, line 2: has edges that are no numbers (nan, 28, 14, 34); "),
    "fractions": ((COLUMNS, "a,0.2,0.3,0.4,0.5,,,,"), "layouts.csv, line 2: has all edges between 0 and 1: they are"),
    "mm as pixels": ((COLUMNS, "a,70,140,100,170,,,,"), "layouts.csv, line 2: reaches beyond the image: x 70 to 100, "),
    "the second of two outside the lungs": (
        (COLUMNS, "a,14,28,20,34,,,0.5,", "a,30,40,34,44,,,,"),
        "layouts.csv, line 3: asks for a tumour with its centre at 32, 42 at position 0.5, which is not in the lungs; ",
    ),
    "an unknown class": (("image,class", "a,B"), "layouts.csv, line 2: asks for the class B, which the model was not"),
    "a position of 40 %": (("image,position", "a,40"), "layouts.csv, line 2: asks for the position 40; positions go"),
    "a seed with a sign": (("image,seed", "a,-1"), "layouts.csv, line 2: has '-1' as seed; give a whole number from 0"),
    "a seed that is too large": (("image,seed", "a,4294967296"), "layouts.csv, line 2: has the seed 4294967296; s"),
    "an unknown place": (("image,place", "a,lung"), "layouts.csv, line 2: has 'lung' as place; give any, or nothing"),
    "an unfinished quote": (("image", '"a'), "layouts.csv, line 2: is not CSV (unexpected end of data); "),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_row_that_cannot_be_used_is_refused_with_its_line(kind: str) -> None:
    lines, said = REFUSED[kind]

    assert refusal(*lines).startswith(said)


def test_a_tumour_outside_the_lungs_can_be_asked_for_in_so_many_words() -> None:
    outside = "a,30,40,34,44,,,0.5,"

    assert "which is not in the lungs" in refusal(COLUMNS, outside)
    assert of_csv(f"{COLUMNS},place", f"{outside},any")[0].layout == Layout(((30, 40, 34, 44),), 0.5)
    assert "reaches beyond the image" in refusal(f"{COLUMNS},place", "a,60,40,70,44,,,0.5,,any")


def test_a_generator_that_knows_positions_only_takes_files_without_boxes_and_refuses_boxes() -> None:
    blind = Askable(SIZE, (), Conditions(position=True), None)

    assert parse_csv("image,position\na,0.5\n", "p.csv", blind) == [("a", Layout(None, 0.5), None, False)]
    with pytest.raises(
        BadInput, match=r"p\.csv, line 2: asks for tumours, which the model was not trained with; it can"
    ):
        parse_csv(f"{COLUMNS}\na,14,28,20,34,,,,\n", "p.csv", blind)


def coco(**changes: Any) -> dict[str, Any]:
    return {
        "info": {"year": 2026},
        "categories": [{"id": 1, "name": "tumour"}],
        "images": [
            {
                "id": 7,
                "file_name": "a.png",
                "width": 256,
                "height": 256,
                "position": 0.5,
                "class": "G",
                "seed": 3,
            },
            {"id": 8, "file_name": "b.png", "width": 64, "height": 64, "tumour": "any"},
            {"id": 9, "file_name": "c.png", "width": 64, "height": 64, "position": "any"},
        ],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [56, 112, 24, 24], "area": 576}],
        **changes,
    }


def of_json(folder: Path, content: Mapping[str, Any]) -> list[NamedLayout]:
    (folder / "layouts.json").write_text(json.dumps(content))
    return read_layouts(folder / "layouts.json", askable())


def test_coco_boxes_are_scaled_from_the_images_that_they_were_drawn_on(tmp_path: Path) -> None:
    assert of_json(tmp_path, coco()) == [
        ("a.png", Layout(((14, 28, 20, 34),), 0.5, "G"), 3, False),
        ("b.png", Layout(None), None, DRAWN),
        ("c.png", Layout(()), None, False),
    ]


def annotation(**changes: Any) -> dict[str, Any]:
    return coco(annotations=[{"image_id": 7, "bbox": [56, 112, 24, 24], **changes}])


def image(**changes: Any) -> dict[str, Any]:
    return coco(images=[{"id": 7, "width": 64, "height": 64, **changes}], annotations=[])


COCO_REFUSED = {
    "a list": ([], ": is not a JSON object; give COCO JSON for object detection"),
    "an unknown field": (coco(tumours=[]), ": has the unknown field 'tumours'; choose one of "),
    "no annotations": (coco(annotations=None), ": has no list `annotations`; "),
    "no images": (coco(images=[], annotations=[]), ": holds no images; "),
    "an image that is no object": (coco(images=[7]), ", image 1: is no JSON object; "),
    "an unknown field of an image": (image(size=64), ", image 1: has the unknown field 'size'; "),
    "an image without a size": (image(width=None), ", image 1: has no number as `width`; "),
    "an image that is not square": (image(width=128), ", image 1: has 128 x 64 pixels, not a square of at most 65536"),
    "an image without an id": (image(id=None), ", image 1: has no `id`; "),
    "an image twice": (coco(images=coco()["images"][:1] * 2), ", image 2: is a second image a.png; "),
    "a position of the wrong type": (image(position="0.5"), ", image 1: has no number as `position`; "),
    "an unknown place": (image(place=1), ", image 1: has another `place` than any; give any, or leave it out"),
    "a name of blanks": (image(file_name=" "), ", image 1: names no image; give the image a name of 1 to 64 "),
    "a seed that is no number": (image(seed="7"), ", image 1: has no whole number as `seed`; "),
    "a seed out of range": (image(seed=2**32), ", image 1: has the seed 4294967296; seeds go from 0 to 4294967295"),
    "a name that is a number": (image(file_name=3), ", image 1: has no text of at most 64 characters as `file_name`"),
    "an annotation of no image": (annotation(image_id=1), ", annotation 1: is of the image 1, which is not in"),
    "an unknown field of an annotation": (annotation(box=1), ", annotation 1: has the unknown field 'box'; did "),
    "a box of three": (annotation(bbox=[1, 2, 3]), ", annotation 1: has no `bbox` of four numbers; "),
    "a box of texts": (annotation(bbox=["1"] * 4), ", annotation 1: has no number as `bbox`; "),
    "a box of huge numbers": (annotation(bbox=[10**400] * 4), ", annotation 1: has no number as `bbox`; "),
    "a box of negative width": (annotation(bbox=[56, 112, -4, 8]), ", annotation 1: has a tumour of -1 x 2 pixels; "),
    "a box outside the lungs": (annotation(bbox=[120, 160, 16, 16]), ", annotation 1: asks for a tumour with its "),
    "too many": (coco(annotations=annotation()["annotations"] * 9), ", annotation 9: is tumour 9 of the image a.png, "),
}  # fmt: skip


@pytest.mark.parametrize("kind", COCO_REFUSED)
def test_a_coco_entry_that_cannot_be_used_is_refused_with_its_number(kind: str, tmp_path: Path) -> None:
    content, said = COCO_REFUSED[kind]

    with pytest.raises(BadInput) as refused:
        of_json(tmp_path, content)

    assert str(refused.value).startswith(f"{tmp_path / 'layouts.json'}{said}")


@pytest.mark.parametrize(
    "text", ['{"images": [NaN]}', "[" * 100_000, '{"images": [], "images": []}', "\ud800"]
)
def test_json_that_no_other_program_reads_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "layouts.json").write_bytes(text.encode("utf-8", "surrogatepass"))

    with pytest.raises(BadInput, match="is not a JSON object"):
        read_layouts(tmp_path / "layouts.json", askable())


def test_a_file_is_csv_or_json_of_bounded_size_in_utf_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(name: str, data: bytes | None) -> str:
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(BadInput) as refused:
            read_layouts(tmp_path / name, askable())
        return str(refused.value).removeprefix(f"{tmp_path}/")

    assert said("layouts.xlsx", b"") == "layouts.xlsx: is neither .csv nor .json; give CSV, or COCO JSON"
    assert said("absent.csv", None) == "absent.csv: is not there; check the path"
    assert said("latin.csv", b"image\na\nb\xe4\n") == (
        "latin.csv, line 3: is not UTF-8 text; save the file as UTF-8"
    )
    (tmp_path / "folder.csv").mkdir()
    assert said("folder.csv", None) == "folder.csv: is not a file; check the path"
    monkeypatch.setattr("chestgan_core.layouts.files.MAX_BYTES", 2**20)
    assert said("large.csv", b"image\n" + b"a\n" * 2**20).startswith("large.csv: is larger than 1 MiB; ")


def test_csv_as_spreadsheets_write_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "layouts.csv").write_bytes("\ufeffimage, position\r\na, 0.5\r\n\r\n".encode())

    assert read_layouts(tmp_path / "layouts.csv", askable()) == [("a", Layout((), 0.5), None, False)]
