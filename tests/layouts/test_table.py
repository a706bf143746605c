"""Layouts are drawn from a table that a generator's file holds: moved, in the lungs, each from its own seed."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.config.conditions import MAX_TUMOURS
from chestgan_core.errors import BadInput
from chestgan_core.layouts.layout import Edges
from chestgan_core.layouts.saved_table import MAX_ENTRIES
from chestgan_core.layouts.table import ALONG, PLACE, SIZE, LayoutTable, draw_layouts
from tests.layouts.chests import LEFT_LUNG, LUNG_MM, PIXEL_MM, table_of_chests
from tests.layouts.chests import SIZE as PIXELS

ROUNDING = 0.003  # of drawn boxes to hundredths of a pixel, as a part of sizes from 5 pixels


@cache
def table(classes: int = 0) -> LayoutTable:
    return table_of_chests(classes=classes)


def moves(box: Edges, of: Edges) -> tuple[float, float]:
    """The larger shift of the centre as a part of the side, and the larger change of a size as a part of it."""
    shift = max(abs((box[axis] + box[axis + 2]) - (of[axis] + of[axis + 2])) / 2 / PIXELS for axis in (0, 1))
    sizes = [(box[axis + 2] - box[axis]) / (of[axis + 2] - of[axis]) for axis in (0, 1)]
    return shift, max(abs(size - 1) for size in sizes)


def test_the_table_in_a_file_is_the_table_that_was_built() -> None:
    built = table(classes=2)

    read = LayoutTable.from_tensors(built.tensors(), PIXELS, 2)

    assert (read.pixel_mm, read.lung_mm, read.has_position) == (PIXEL_MM, LUNG_MM, True)
    assert all(torch.equal(a.nan_to_num(-1), b.nan_to_num(-1)) for a, b in both(built, read))
    assert draw_layouts(read, range(50), 2) == draw_layouts(built, range(50), 2)


def both(one: LayoutTable, other: LayoutTable) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(zip(one.tensors().values(), other.tensors().values(), strict=True))


def test_the_same_slices_and_seed_give_the_same_table_and_another_seed_another() -> None:
    def boxes(seed: int) -> np.ndarray:
        return np.nan_to_num(table_of_chests(patients=2, seed=seed).boxes)

    assert np.array_equal(boxes(1), boxes(1))
    assert not np.array_equal(boxes(1), boxes(2))


def test_no_entry_is_the_box_of_a_person_and_none_is_far_from_it() -> None:
    found = table()
    entries = [tuple(map(float, box)) for box in found.boxes[found.has_box, 0]]

    assert len(entries) == 30
    for box in entries:
        shift, size = moves(box, LEFT_LUNG)  # type: ignore[arg-type]
        assert 0 < shift <= PLACE + 1e-6
        assert 0 < size <= SIZE + 1e-6


def test_who_knows_the_seed_of_an_experiment_cannot_undo_the_moves_without_the_slices() -> None:
    left, top, right, bottom = LEFT_LUNG
    noise = [
        np.sort(table_of_chests(box=box).position)  # of the same slices, moved along the body
        for box in (LEFT_LUNG, LEFT_LUNG, (left, top, right, bottom + 1e-3))
    ]
    assert np.array_equal(noise[0], noise[1])
    assert not np.isin(noise[2], noise[0]).any()


def test_a_slice_gives_at_most_one_entry_so_that_entries_have_no_mean_that_is_a_persons_box() -> None:
    assert len(table()) == 4 * 20
    assert len(table_of_chests(patients=26, slices=20)) == MAX_ENTRIES


def test_rare_kinds_of_slices_keep_their_share_of_what_is_drawn() -> None:
    drawn = draw_layouts(table(), range(4000), 0)

    kinds = Counter("unknown" if one.boxes is None else bool(one.boxes) for one in drawn)
    assert kinds[True] / 4000 == pytest.approx(
        3 / 8, abs=0.03
    )  # every second slice of three of four patients
    assert kinds["unknown"] / 4000 == pytest.approx(1 / 4, abs=0.03)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), others=st.lists(st.integers(0, 2**32 - 1), max_size=5))
def test_a_layout_depends_on_its_seed_and_on_no_other(seed: int, others: list[int]) -> None:
    alone = draw_layouts(table(), [seed], 0, 0.5)

    assert draw_layouts(table(), [*others, seed], 0, 0.5)[-1:] == alone


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_drawn_tumour_is_in_the_lungs_and_near_an_entry(seed: int) -> None:
    (layout,) = draw_layouts(table(), [seed], 0, 1.0)

    assert layout.boxes is not None
    (box,) = layout.boxes
    entries = [tuple(map(float, entry)) for entry in table().boxes[table().has_box, 0]]
    near = [moves(box, entry) for entry in entries]  # type: ignore[arg-type]
    assert any(shift <= PLACE + ROUNDING and size <= SIZE + ROUNDING for shift, size in near)
    assert table().zone.holds(box, layout.position)
    assert layout.position is not None
    assert np.abs(table().position - layout.position).min() <= ALONG + ROUNDING


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_the_fraction_of_images_with_a_tumour_is_that_asked_and_the_others_surely_have_none(
    fraction: float,
) -> None:
    drawn = draw_layouts(table(), range(2000), 0, fraction)

    assert sum(bool(one.boxes) for one in drawn) / 2000 == pytest.approx(fraction, abs=0.03)
    assert all(one.boxes is not None for one in drawn)


def test_a_seed_gets_a_layout_of_its_class() -> None:
    found = table_of_chests(classes=2, box=None)
    found.position[found.class_number == 0] = 0.2
    found.position[found.class_number == 1] = 0.8

    positions = [one.position for one in draw_layouts(found, range(40), 2)]

    assert all(abs(place - 0.2) <= ALONG + ROUNDING for place in positions[::2] if place is not None)
    assert all(abs(place - 0.8) <= ALONG + ROUNDING for place in positions[1::2] if place is not None)


def test_without_positions_a_layout_says_nothing_about_them() -> None:
    found = table_of_chests(positions=False)

    assert not found.has_position
    assert {one.position for one in draw_layouts(found, range(20), 0)} == {None}


def test_tumours_cannot_be_drawn_from_slices_without_a_box() -> None:
    with pytest.raises(BadInput) as refused:
        draw_layouts(table_of_chests(patients=2, box=None), range(3), 0, 0.5)

    assert str(refused.value) == (
        "the model: was trained on slices without a tumour box, so there is none to draw from; "
        "give layouts (--layouts FILE), or a model that was trained on boxes"
    )


@pytest.mark.parametrize("fraction", [-0.1, 1.5, float("nan")])
def test_a_fraction_of_tumours_is_from_0_to_1(fraction: float) -> None:
    with pytest.raises(BadInput, match="is not from 0 to 1"):
        draw_layouts(table(), range(3), 0, fraction)


def full(name: str, value: float) -> torch.Tensor:
    return torch.full_like(table().tensors()[name], value)


def boxes_with(place: int, value: float) -> torch.Tensor:
    boxes = table().tensors()["boxes"]
    boxes[np.flatnonzero(table().has_box)[0], 0, place] = value
    return boxes


STRANGE = {
    "boxes that reach beyond the image": ("boxes", lambda: boxes_with(2, 65.0)),
    "a box of negative width": ("boxes", lambda: boxes_with(0, 40.0)),
    "a box with an infinite edge": ("boxes", lambda: boxes_with(3, float("inf"))),
    "a box that is half NaN": ("boxes", lambda: boxes_with(1, float("nan"))),
    "a position above 1": ("position", lambda: full("position", 1.1)),
    "no position beside lungs by position": ("position", lambda: full("position", float("nan"))),
    "a tumour of which nothing is known": ("known", lambda: full("known", 0)),
    "a truth that is neither 0 nor 1": ("known", lambda: full("known", 2)),
    "a class that the model has not": ("class", lambda: full("class", 1)),
    "weights that sum to 0": ("weight", lambda: full("weight", 0)),
    "weights that are NaN": ("weight", lambda: full("weight", float("nan"))),
    "more lung than there is": ("lung", lambda: full("lung", 1.5)),
    "pixels of negative size": ("pixel_mm", lambda: full("pixel_mm", -1)),
    "lungs of a kilometre": ("lung_mm", lambda: full("lung_mm", 1e6)),
    "another type": ("boxes", lambda: table().tensors()["boxes"].double()),
    "another shape": ("boxes", lambda: table().tensors()["boxes"][:, :4]),
    "lungs on another grid": ("lung", lambda: table().tensors()["lung"][:, :16]),
    "no entry": ("boxes", lambda: torch.zeros(0, MAX_TUMOURS, 4)),
    "a number in place of the boxes": ("boxes", lambda: torch.tensor(0.0)),
    "too many entries": ("boxes", lambda: torch.zeros(MAX_ENTRIES + 1, MAX_TUMOURS, 4)),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strangers_table_is_refused_with_the_tensor_that_is_wrong(kind: str) -> None:
    name, value = STRANGE[kind]

    with pytest.raises(ValueError, match=f"layouts.{name}"):
        LayoutTable.from_tensors({**table().tensors(), name: value()}, PIXELS, 0)


def test_a_strangers_table_has_the_tensors_of_a_table_and_no_others() -> None:
    tensors = table().tensors()

    with pytest.raises(ValueError, match="layouts: extra is unknown"):
        LayoutTable.from_tensors({**tensors, "extra": torch.zeros(1)}, PIXELS, 0)
    del tensors["lung"]
    with pytest.raises(ValueError, match="layouts: lung is absent"):
        LayoutTable.from_tensors(tensors, PIXELS, 0)


def test_drawn_edges_and_positions_have_no_more_digits_than_labels_and_dicom_keep() -> None:
    layouts = draw_layouts(table(), range(200), 0)
    edges = [edge for layout in layouts for box in layout.boxes or () for edge in box]
    positions = [layout.position for layout in layouts if layout.position is not None]
    assert edges
    assert positions
    assert all(round(edge, 2) == edge == float(str(np.float32(edge))) for edge in edges)
    assert all(round(position, 4) == position for position in positions)
