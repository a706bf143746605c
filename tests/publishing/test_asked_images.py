"""Images that a person asks for: what was asked is written beside them, and makes the same images again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from chestgan_core.errors import BadInput
from chestgan_core.layouts.files import read_layouts
from chestgan_core.layouts.layout import Layout
from chestgan_core.layouts.table import draw_layouts
from chestgan_core.publishing.asked_images import (
    AskedImages,
    askable_of,
    asked_of_file,
    asked_of_seeds,
    asked_pairs,
    pair_stream,
)
from chestgan_core.publishing.forms.convert import convert_set
from chestgan_core.publishing.loose_images import write_images, write_labels, write_pairs
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.training.generation import generate
from chestgan_core.training.weights import LoadedGenerator
from tests.publishing.boxed_sets import asking_experiment, asking_generator

TUMOUR = Layout(((14.0, 28.0, 20.0, 34.0),), 0.5)


def layouts_of(asked: AskedImages) -> list[Layout]:
    return list(asked.layouts() or ())


def pixels(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]


def test_where_nothing_is_asked_layouts_are_those_that_generation_draws(asking: LoadedGenerator) -> None:
    assert asking.layouts is not None
    assert layouts_of(asked_of_seeds(asking, range(5, 9))) == draw_layouts(asking.layouts, range(5, 9), 0)


def test_the_layout_of_a_seed_does_not_depend_on_how_many_are_asked_for(
    asking: LoadedGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = layouts_of(asked_of_seeds(asking, range(40), replace(TUMOUR, position=None)))
    monkeypatch.setattr("chestgan_core.publishing.asked_images._BLOCK", 7)

    assert layouts_of(asked_of_seeds(asking, range(40), replace(TUMOUR, position=None))) == whole
    assert layouts_of(asked_of_seeds(asking, range(30, 40), replace(TUMOUR, position=None))) == whole[30:]


@pytest.mark.parametrize("form", ["pictures", "one.safetensors"])
def test_what_was_asked_is_written_beside_the_images_and_makes_them_again(
    form: str, asking: LoadedGenerator, tmp_path: Path
) -> None:
    out, again = tmp_path / form, tmp_path / f"again-{form}"
    asked = asked_of_seeds(asking, range(100, 110))
    write_images(asking, asked.seeds, out, asked)
    labels = out.with_suffix(".csv") if out.suffix else out / "layouts.csv"

    read = asked_of_file(asking, labels, 0)
    write_images(asking, read.seeds, again, read)

    assert list(read.seeds) == list(range(100, 110))
    assert layouts_of(read) == layouts_of(asked)
    if out.suffix:
        assert np.array_equal(load_file(out)["slices"], load_file(again)["slices"])
    else:
        assert [path.name for path in sorted(again.glob("*.png"))][:1] == ["000000-seed-000100.png"]
        assert all(np.array_equal(one, two) for one, two in zip(pixels(out), pixels(again), strict=True))


@pytest.mark.parametrize("seed", [0, 500, 1000])
def test_whatever_was_drawn_reads_back(seed: int, asking: LoadedGenerator, tmp_path: Path) -> None:
    drawn = asked_of_seeds(asking, range(seed, seed + 500), tumour_fraction=1.0)
    write_labels(drawn.labels(), tmp_path / "layouts.csv")

    assert layouts_of(asked_of_file(asking, tmp_path / "layouts.csv", 0)) == layouts_of(drawn)


def test_a_set_that_was_converted_to_coco_makes_its_images_again(
    asking: LoadedGenerator, provenance: dict[str, str], tmp_path: Path
) -> None:
    write_set(asking, asking.experiment, 40, 100, tmp_path / "set", provenance, tumour_fraction=0.5)
    convert_set(tmp_path / "set", "coco", tmp_path / "coco")

    read = asked_of_file(asking, tmp_path / "coco" / "annotations.json", 0)

    assert asking.layouts is not None
    asked = draw_layouts(asking.layouts, range(100, 140), 0, 0.5)
    assert list(read.seeds) == list(range(100, 140))
    for again, first in zip(layouts_of(read), asked, strict=True):
        assert again.position == first.position
        assert np.array(again.boxes).ravel() == pytest.approx(np.array(first.boxes).ravel())


def test_a_generator_that_is_told_nothing_leaves_no_layouts_beside_its_images(
    generator: LoadedGenerator, tmp_path: Path
) -> None:
    asked = asked_of_seeds(generator, range(3))
    write_images(generator, asked.seeds, tmp_path / "a.safetensors", asked)
    write_images(generator, asked.seeds, tmp_path / "a", asked)

    assert asked.layouts() is None
    assert not (tmp_path / "a.csv").exists()
    assert not (tmp_path / "a" / "layouts.csv").exists()


def test_a_class_can_be_asked_of_a_generator_that_knows_nothing_else(tmp_path: Path) -> None:
    classed = asking_generator(tmp_path, asking_experiment(("A", "G"), position=False, tumour=False))
    asked = asked_of_seeds(classed, range(3), Layout(class_name="G"))

    assert [layout.class_name for layout in layouts_of(asked)] == ["G"] * 3


def test_names_in_a_file_of_a_stranger_are_no_paths(asking: LoadedGenerator, tmp_path: Path) -> None:
    (tmp_path / "layouts.csv").write_text('image,position\n"../../etc/passwd",0.5\n"größe 1",\n')
    asked = asked_of_file(asking, tmp_path / "layouts.csv", 7)
    write_images(asking, asked.seeds, tmp_path / "out", asked)

    assert list(asked.seeds) == [7, 8]
    assert [path.name for path in sorted((tmp_path / "out").glob("*.png"))] == [
        "000000-..-..-etc-passwd.png",
        "000001-gr-e-1.png",
    ]
    labels = read_layouts(tmp_path / "out" / "layouts.csv", askable_of(asking))
    assert [label.name for label in labels] == ["../../etc/passwd", "größe 1"]
    assert labels[1].layout.position is not None  # it was drawn


def test_a_csv_file_of_somebody_else_is_not_replaced(asking: LoadedGenerator, tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("patient,score\n1,2\n")
    asked = asked_of_seeds(asking, range(2))

    with pytest.raises(BadInput, match=r"results\.csv: is there, and holds no layouts; give another name"):
        write_images(asking, asked.seeds, tmp_path / "results.safetensors", asked)
    write_images(asking, asked.seeds, tmp_path / "mine.safetensors", asked)
    write_images(asking, asked.seeds, tmp_path / "mine.safetensors", asked)


def test_a_pair_is_the_image_of_one_seed_with_the_tumour_and_without(
    asking: LoadedGenerator, tmp_path: Path
) -> None:
    images = asked_of_seeds(asking, range(40), tumour_fraction=1.0)
    pairs = asked_pairs(images)

    made = list(pair_stream(asking, pairs))

    asked = layouts_of(images)
    assert layouts_of(pairs)[::2] == asked
    assert layouts_of(pairs)[1::2] == [replace(layout, boxes=()) for layout in asked]
    shown = generate(asking, range(40), asked)
    without = generate(asking, range(40), layouts_of(pairs)[1::2])
    for at, (one, other, layout) in enumerate(made):
        assert (one == shown[at]).all()
        assert (other == without[at]).all()
        assert layout == asked[at]
    assert (shown != without).any()


def test_the_change_of_pairs_is_told_in_the_unit_of_the_window(
    asking: LoadedGenerator, tmp_path: Path
) -> None:
    pairs = asked_pairs(asked_of_seeds(asking, range(3), TUMOUR))
    written = write_pairs(asking, pairs, tmp_path / "pairs.safetensors")
    write_pairs(asking, pairs, tmp_path / "pairs")

    slices = load_file(tmp_path / "pairs.safetensors")["slices"].astype(float)
    change = np.abs(slices[::2] - slices[1::2])
    inside = np.zeros((64, 64), bool)
    inside[28:34, 14:20] = True
    assert written["change"]["inside"] == pytest.approx(
        change[:, inside].mean(), abs=0.5
    )  # HU are whole numbers
    assert written["change"]["outside"] == pytest.approx(change[:, ~inside].mean(), abs=0.5)
    assert [path.name for path in sorted((tmp_path / "pairs").glob("*.png"))][:2] == [
        "000000-seed-000000-with.png",
        "000001-seed-000000-without.png",
    ]


def test_pairs_need_a_tumour_in_each_image_and_a_generator_that_knows_them(
    asking: LoadedGenerator, generator: LoadedGenerator
) -> None:
    with pytest.raises(
        BadInput, match="image seed-000000: has no tumour, and a pair is the same image with it and"
    ):
        asked_pairs(asked_of_seeds(asking, range(3), Layout(())))
    with pytest.raises(BadInput, match="the pairs: need a generator that can be told tumours"):
        asked_pairs(asked_of_seeds(generator, range(3)))


def test_seeds_of_a_file_are_checked_and_what_is_asked_is(asking: LoadedGenerator, tmp_path: Path) -> None:
    (tmp_path / "layouts.csv").write_text("image\na\nb\n")
    with pytest.raises(BadInput, match="seed 4294967296: is out of range"):
        asked_of_file(asking, tmp_path / "layouts.csv", 2**32 - 1)
    with pytest.raises(
        BadInput, match="what is asked: asks for a class, which the model was not trained with"
    ):
        asked_of_seeds(asking, range(3), Layout(class_name="A"))
