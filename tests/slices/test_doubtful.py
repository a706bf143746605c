"""From files to slices: which are kept of a series as a whole, and the sheet of those to look at."""

import io

import numpy as np
import pytest
from PIL import Image

from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import BadInput
from chestgan_core.slices.doubtful import PICTURES, DoubtfulSlices
from chestgan_core.slices.normalization import Normalized, normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice

RECIPE = NormalizationRecipe(size=32)
LUNG, NONE = chest_hu(trachea=False), chest_hu(lung=False, trachea=False)


def base() -> np.ndarray:
    """Two thin crescents of lung, about 4 % of the body."""
    hu = NONE.copy()
    hu[72:84, 30:40] = hu[72:84, 88:98] = -850
    return hu


def normalized(folder, images: list[np.ndarray], recipe: NormalizationRecipe = RECIPE) -> Normalized:
    for index, hu in enumerate(images):
        (folder / f"{index * 7 % len(images):03d}").write_bytes(as_bytes(ct_slice(hu, z=5.0 * index)))
    return normalize([folder], recipe, Pseudonyms())


def test_consolidated_slices_are_read_again_and_are_those_that_they_would_be_alone(tmp_path):
    series, alone = tmp_path / "series", tmp_path / "alone"
    series.mkdir()
    alone.mkdir()
    marked = NONE.copy()
    marked[50:60, 50:60] = 300
    done = normalized(series, [NONE, LUNG, LUNG, marked, NONE, LUNG, LUNG, NONE])
    assert [row.position_mm for row in done.shard.rows] == [5, 10, 15, 20, 25, 30]
    assert done.report.left_out == {LeftOut.NO_LUNG: 2}
    assert (done.report.doubtful_kept, done.report.doubtful_left_out) == (2, 0)
    every = normalized(alone, [marked, LUNG], NormalizationRecipe(size=32, min_lung_fraction=0))
    assert np.array_equal(done.shard.slices[2], every.shard.slices[0])
    assert np.array_equal(done.shard.slices[0], every.shard.slices[1])
    assert done.shard.rows[2].lung_fraction == 0


def test_slices_of_several_series_lie_without_gaps(tmp_path):
    for number, images in enumerate([[NONE, LUNG, NONE], [NONE, NONE], [LUNG, NONE, LUNG, NONE]]):
        for index, hu in enumerate(images):
            data = ct_slice(hu + 0, z=5.0 * index, series=f"2.25.{number + 1}")
            (tmp_path / f"{number}-{index}").write_bytes(as_bytes(data))
    done = normalize([tmp_path], RECIPE, Pseudonyms())
    assert done.shard.slices.shape == (4, 32, 32)
    assert done.report.left_out == {LeftOut.NO_LUNG: 5}
    assert [int(one.min()) < -800 for one in done.shard.slices[:, 8:24, 6:26]] == [True, True, False, True]


def test_air_is_no_body(tmp_path):
    done = normalized(tmp_path, [LUNG, LUNG, np.full((128, 128), -1000, np.int16)])
    assert done.report.left_out == {LeftOut.NO_BODY: 1}


def test_the_sheet_shows_what_was_used_and_what_was_left_out(tmp_path):
    thin = NONE.copy()
    thin[72:84, 30:40] = -850
    done = normalized(tmp_path, [NONE, thin, base(), LUNG, LUNG, base(), thin, NONE])
    assert [row.position_mm for row in done.shard.rows] == [10, 15, 20, 25]
    assert (done.report.doubtful_kept, done.report.doubtful_left_out) == (2, 2)
    assert done.report.as_json()["doubtful"] == {"kept": 2, "left_out": 2}
    sheet = Image.open(io.BytesIO(done.doubtful.png()))
    assert sheet.size == (4 * 130 - 2, 144)
    assert sheet.info == {}


def test_a_series_without_a_lung_region_says_how_many_slices_may_show_lung(tmp_path):
    thin = NONE.copy()
    thin[72:84, 30:40] = -850
    with pytest.raises(
        BadInput, match="no lung region was found in their series; left out: no-lung 3; 2 of them may"
    ):
        normalized(tmp_path, [NONE, thin, thin])


def test_without_doubt_there_is_no_sheet(tmp_path):
    assert normalized(tmp_path, [LUNG] * 3).doubtful.png() is None


@pytest.mark.parametrize("size", [16, 128, 200])
def test_the_sheet_is_bounded_and_the_counts_are_whole(size):
    doubtful = DoubtfulSlices()
    for index in range(3 * PICTURES):
        doubtful.add(np.full((size, size), -850, np.int16), float(index), kept=index % 3 == 0)
    assert (doubtful.kept, doubtful.left_out) == (PICTURES, 2 * PICTURES)
    assert Image.open(io.BytesIO(doubtful.png())).size == (1038, PICTURES // 8 * 144)
