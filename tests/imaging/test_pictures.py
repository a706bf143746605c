"""Grids and contact sheets show every pixel as it is."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chestgan_core.imaging.pictures import (
    FRAME,
    contact_sheet,
    draw_boxes,
    from_grey,
    image_grid,
    png_of,
    shrink_to_width,
    thumbnail,
    to_grey,
)


def ramp(count: int, size: int = 8) -> torch.Tensor:
    return torch.linspace(-1, 1, count * size * size).reshape(count, 1, size, size)


def test_every_grey_level_survives_the_way_to_the_network_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert np.array_equal(to_grey(from_grey(levels)), levels)


def test_values_outside_the_range_are_clipped_not_wrapped() -> None:
    assert to_grey(torch.tensor([[[-3.0, 3.0]]])).tolist() == [[[0, 255]]]


@given(st.integers(1, 20), st.integers(1, 7), st.integers(1, 3), st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_a_grid_holds_each_image_where_reading_order_puts_it(
    count: int, columns: int, scale: int, gap: int
) -> None:
    images = ramp(count)
    sheet = np.array(image_grid(images, columns, scale, gap))
    step = 8 * scale + gap
    for index, cell in enumerate(to_grey(images)):
        top, left = index // columns * step, index % columns * step
        shown = sheet[top : top + 8 * scale : scale, left : left + 8 * scale : scale]
        assert np.array_equal(shown, cell)


def test_a_grid_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        image_grid(torch.zeros(0, 1, 8, 8))


EDGES = st.lists(st.integers(1, 31), min_size=2, max_size=2, unique=True).map(sorted)


@given(EDGES, EDGES, st.sampled_from([1, 2, 4]))
def test_a_frame_surrounds_its_box_and_covers_nothing_of_it(
    across: list[int], down: list[int], scale: int
) -> None:
    (left, right), (top, bottom) = across, down
    image = Image.new("L", (32 * scale, 32 * scale))
    framed = np.asarray(draw_boxes(image, [(left, top, right, bottom)], scale))
    amber = (framed == FRAME).all(-1)
    assert not framed[~amber].any(), "nothing else is drawn"
    expected = np.zeros_like(amber)
    expected[top * scale - 1 : bottom * scale + 1, left * scale - 1 : right * scale + 1] = True
    expected[top * scale : bottom * scale, left * scale : right * scale] = False
    assert np.array_equal(amber, expected)


def test_the_frame_of_a_box_at_the_edge_stays_within_the_image() -> None:
    framed = np.asarray(draw_boxes(Image.new("L", (16, 16)), [(0, 0, 32, 32)], scale=0.5))
    amber = (framed == FRAME).all(-1)
    assert amber[[0, -1]].all()
    assert amber[:, [0, -1]].all()
    assert not amber[1:-1, 1:-1].any()


def test_a_contact_sheet_is_the_same_file_each_time_and_has_no_text_chunks(tmp_path: Path) -> None:
    first = contact_sheet(ramp(70, 64), ramp(5, 64), tmp_path / "a.png", title="A title")
    second = contact_sheet(ramp(70, 64), ramp(5, 64), tmp_path / "b.png", title="A title")
    assert first.read_bytes() == second.read_bytes()
    assert Image.open(first).info == {}
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.png", "b.png"]


def test_a_picture_that_is_too_large_to_keep_is_made_smaller() -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (64, 1, 64, 64)).astype(np.float32)
    png = png_of(image_grid(noise))
    assert thumbnail(png, len(png), 1240) == (png, "image/png")
    small, mime = thumbnail(png, 20_000, 1240)
    assert mime == "image/jpeg"
    assert len(small) <= 20_000
    assert Image.open(io.BytesIO(small)).width >= 32


@pytest.mark.parametrize("palette", [None, 16])
@pytest.mark.parametrize(("limit", "kind"), [(100_000, "image/png"), (4_000, "image/jpeg")])
def test_a_smaller_picture_keeps_its_colours_and_its_shape_and_fits_the_width(
    limit: int, kind: str, palette: int | None
) -> None:
    chart = np.full((600, 2480, 3), 255, np.uint8)
    chart[:, :1240] = (0, 114, 178)
    noise = np.random.default_rng(0).integers(0, 256, (300, 600), np.uint8)
    chart[:300, 1240:1840] = noise[..., None]
    image = Image.fromarray(chart)
    data, mime = thumbnail(png_of(image.quantize(palette) if palette else image), limit, 1240)
    assert mime == kind
    assert len(data) <= limit
    small = Image.open(io.BytesIO(data)).convert("RGB")
    assert small.width <= 1240
    assert small.width / small.height == pytest.approx(2480 / 600, rel=0.02)
    left, right = small.getpixel((small.width // 4, small.height // 2)), small.getpixel((small.width - 2, 2))
    assert np.abs(np.subtract(left, (0, 114, 178))).max() < 12
    assert min(right) > 240


def test_a_grey_picture_stays_grey_whatever_its_mode() -> None:
    grey = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 2000), np.uint8))
    for image in (grey, grey.convert("RGB"), grey.convert("P")):
        data, _ = thumbnail(png_of(image), 1_000_000, 1240)
        assert Image.open(io.BytesIO(data)).mode == "L"


def test_a_picture_that_is_too_wide_for_a_page_is_halved_to_the_mean_of_its_pixels() -> None:
    board = Image.fromarray((np.indices((8, 16)).sum(axis=0) % 2 * 200).astype(np.uint8))
    small = Image.open(io.BytesIO(shrink_to_width(png_of(board), 8)))
    assert small.size == (8, 4)
    assert set(np.asarray(small).ravel()) == {100}
    assert shrink_to_width(png_of(board), 16) == png_of(board)
