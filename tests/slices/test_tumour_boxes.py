"""Boxes and masks in stored pixels lie where the tumour is on the normalized slice, however the slice was stored."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.shards import Shard, SliceRow
from chestgan_core.slices.tumour_boxes import SliceBox, mask_on_slice, on_slice
from chestgan_core.sources.annotations.boxes import TumourBox
from chestgan_core.sources.annotations.masks import packed
from chestgan_core.sources.phantom.patients import write_phantom
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice

MARK_HU = 1500
Turn = Callable[[np.ndarray], np.ndarray]


def one_slice(folder: Path, size: int = 64, **changes: object) -> Shard:
    folder.mkdir(exist_ok=True)
    (folder / "a").write_bytes(as_bytes(ct_slice(**changes)))
    return normalize([folder], NormalizationRecipe(size=size), Pseudonyms()).shard


def box_of(stored: np.ndarray) -> tuple[int, int, int, int]:
    """left, top, right, bottom of the mark."""
    rows, columns = np.nonzero(stored == MARK_HU)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def assert_box_is_around(hu: np.ndarray, box: SliceBox) -> None:
    """Every bright pixel is in the box, to within the one that resizing smears, and the box is full of them."""
    rows, columns = np.nonzero(hu > MARK_HU / 2)
    assert (columns.min(), rows.min()) == pytest.approx((box.left, box.top), abs=1)
    assert (columns.max() + 1, rows.max() + 1) == pytest.approx((box.right, box.bottom), abs=1)


def drawn(stored: np.ndarray) -> TumourBox:
    """An annotation whose mask is the mark."""
    left, top, right, bottom = box_of(stored)
    mask = packed(stored[top:bottom, left:right] == MARK_HU)
    return TumourBox("P", "1.2.3", left, top, right, bottom, "A", "seg", mask=mask)


def assert_mask_is_the_mark(shard: Shard, annotation: TumourBox) -> None:
    """Its bright pixels are those of the mask, but for its border, which resizing smears; and it fills its box."""
    size = shard.slices.shape[1]
    mask = mask_on_slice(shard.rows[0], annotation, size)
    box = on_slice(shard.rows[0], *annotation.edges, size=size)
    assert mask is not None
    assert box is not None
    bright = shard.slices[0] > MARK_HU / 2
    assert (bright & (mask > 0.5)).sum() / (bright | (mask > 0.5)).sum() > 0.75
    rows, columns = np.nonzero(mask > 0)
    assert (columns.min(), rows.min()) == pytest.approx((box.left, box.top), abs=1)
    assert (columns.max() + 1, rows.max() + 1) == pytest.approx((box.right, box.bottom), abs=1)


def row(**changes: object) -> SliceRow:
    whole = SliceRow("P", "A", "1.2", "1.2.3", 0.0, 0.3, 2.0, stored_rows=100, stored_columns=200)
    return replace(whole, **{"crop_rows": 100, "crop_columns": 200, **changes})


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        ([1, 0, 0, 0, 1, 0], lambda hu: hu),
        ([-1, 0, 0, 0, 1, 0], lambda hu: hu[:, ::-1]),
        ([1, 0, 0, 0, -1, 0], lambda hu: hu[::-1]),
        ([-1, 0, 0, 0, -1, 0], lambda hu: hu[::-1, ::-1]),
        ([0, 1, 0, 1, 0, 0], lambda hu: hu.T),
        ([0, -1, 0, 1, 0, 0], lambda hu: hu.T[:, ::-1]),
        ([0, 1, 0, -1, 0, 0], lambda hu: hu.T[::-1]),
        ([0, -1, 0, -1, 0, 0], lambda hu: hu.T[::-1, ::-1]),
    ],
)
def test_flips_and_rotations_carry_the_box_along(
    tmp_path: Path, orientation: list[int], stored: Turn
) -> None:
    hu = chest_hu()[:120]  # not square: a flip that counts from the wrong edge shows
    hu[40:56, 24:34] = MARK_HU
    turned = np.ascontiguousarray(stored(hu))
    shard = one_slice(tmp_path, hu=turned, ImageOrientationPatient=orientation)
    box = on_slice(shard.rows[0], *box_of(turned), size=64)
    assert box is not None
    assert_box_is_around(shard.slices[0], box)
    assert (box.width_mm, box.height_mm) == pytest.approx((10 * 2.8, 16 * 2.8), rel=0.02)
    turned[turned == MARK_HU] = 40
    hu[40:56, 24:34] = 40
    hu[40:56, 24:28] = hu[40:46, 24:34] = MARK_HU  # a corner, which every turn puts elsewhere
    turned = np.ascontiguousarray(stored(hu))
    shard = one_slice(tmp_path, hu=turned, ImageOrientationPatient=orientation)
    assert_mask_is_the_mark(shard, drawn(turned))


@pytest.mark.parametrize("spacing", [[2.8, 1.4], [1.4, 2.8]])
def test_pixels_that_are_not_square_give_millimetres_of_the_patient(
    tmp_path: Path, spacing: list[float]
) -> None:
    hu = chest_hu()
    hu[50:60, 30:40] = MARK_HU
    stretched = np.repeat(hu, 2, axis=1 if spacing[1] < spacing[0] else 0)
    shard = one_slice(tmp_path, hu=stretched, PixelSpacing=spacing)
    box = on_slice(shard.rows[0], *box_of(stretched), size=64)
    assert box is not None
    assert_box_is_around(shard.slices[0], box)
    assert (box.width_mm, box.height_mm) == pytest.approx((28, 28), rel=0.02)


def test_a_body_that_the_field_of_view_cuts_has_its_boxes_in_place(tmp_path: Path) -> None:
    hu = chest_hu(table=False)[34:94]  # the square around the body reaches beyond the image
    hu[20:30, 80:92] = MARK_HU
    shard = one_slice(tmp_path, hu=np.ascontiguousarray(hu))
    assert shard.rows[0].crop_top < 0
    box = on_slice(shard.rows[0], *box_of(hu), size=64)
    assert box is not None
    assert_box_is_around(shard.slices[0], box)
    assert_mask_is_the_mark(shard, drawn(hu))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_tumour_of_a_phantom_is_in_its_box(tmp_path: Path, number: int) -> None:
    patient = write_phantom(tmp_path, number, size=192, slices=30)
    (top, bottom), (left, right) = patient.tumour.rows, patient.tumour.columns
    shard = normalize([patient.folder], NormalizationRecipe(size=96), Pseudonyms()).shard
    low, high = patient.tumour.z_mm
    middle = min(
        range(len(shard.rows)), key=lambda index: abs(shard.rows[index].position_mm - (low + high) / 2)
    )
    box = on_slice(shard.rows[middle], left, top, right, bottom, size=96)
    assert box is not None
    hu = shard.slices[middle]
    centre = hu[int((box.top + box.bottom) / 2), int((box.left + box.right) / 2)]
    assert centre > -200, "soft tissue"
    around = hu[int(box.top) - 2 : int(box.bottom) + 2, int(box.left) - 2 : int(box.right) + 2]
    assert around.min() < -600, "lung beside it"
    assert 5 < box.width_mm < 90


def test_a_box_is_cut_at_the_edge_of_the_slice_and_keeps_its_size() -> None:
    box = on_slice(row(crop_left=50, crop_columns=100), 20, 0, 70, 10, size=100)
    assert box == SliceBox(left=0, top=0, right=20, bottom=10, width_mm=100, height_mm=20)


@pytest.mark.parametrize(
    ("changes", "edges"),
    [
        ({"crop_left": 50, "crop_columns": 100}, (0, 0, 50, 10)),
        ({"crop_left": 50, "crop_columns": 100}, (150, 0, 160, 10)),
        ({"crop_top": 50, "crop_rows": 50}, (0, 40, 10, 50)),
        ({"crop_rows": 0, "crop_columns": 0}, (0, 0, 10, 10)),
        ({}, (10, 10, 10, 20)),
    ],
    ids=["left of it", "right of it", "above it", "crop unknown", "no area"],
)
def test_a_box_beyond_the_slice_is_none(changes: dict[str, object], edges: tuple[int, int, int, int]) -> None:
    assert on_slice(row(**changes), *edges, size=100) is None


@given(
    st.sets(st.sampled_from("TRC")).map(lambda turns: "".join(sorted(turns, key="TRC".index))),
    st.integers(0, 180),
    st.integers(0, 80),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_a_box_within_the_crop_keeps_its_area_whatever_the_turn(
    turns: str, left: int, top: int, width: int, height: int
) -> None:
    upright = {"crop_rows": 200, "crop_columns": 100} if "T" in turns else {}
    box = on_slice(row(upright=turns, **upright), left, top, left + width, top + height, size=100)
    assert box is not None
    across, down = (100 / 100, 100 / 200) if "T" in turns else (100 / 200, 100 / 100)
    wide, high = (height, width) if "T" in turns else (width, height)
    assert (box.right - box.left, box.bottom - box.top) == pytest.approx((wide * across, high * down))
    whole = packed(np.ones((height, width), bool))
    annotation = TumourBox("P", "1.2.3", left, top, left + width, top + height, "", "seg", mask=whole)
    mask = mask_on_slice(row(upright=turns, **upright), annotation, 100)
    assert mask is not None
    assert mask.sum() == pytest.approx((box.right - box.left) * (box.bottom - box.top), rel=1e-4)
    middle = int((box.top + box.bottom) / 2), int((box.left + box.right) / 2)
    assert mask[middle] > 0


def test_there_is_no_mask_where_only_a_box_was_drawn_or_its_place_is_unknown() -> None:
    plain = TumourBox("P", "1.2.3", 10, 10, 20, 20, "", "voc")
    masked = replace(plain, mask=packed(np.ones((10, 10), bool)))
    assert mask_on_slice(row(), plain, 64) is None
    assert mask_on_slice(row(crop_rows=0, crop_columns=0), masked, 64) is None
    assert mask_on_slice(row(stored_rows=15), masked, 64) is None, "of another image"
    beyond = mask_on_slice(row(crop_top=40, crop_rows=60), masked, 64)
    assert beyond is not None
    assert not beyond.any(), "cut away"
