"""Where slices lie between the base and the apex of the lungs."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.imaging.lung_mask import Chest
from chestgan_core.slices.lung_position import LungExtent, find_lung_extent, lung_heights
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.shards import UNKNOWN_POSITION, SliceRow
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice

STEP_MM = 5.0


def stack(*lung_fractions: float | None) -> tuple[list[float], list[Chest | None]]:
    """Positions and chests of slices that show so much lung, 5 mm apart; None: no body."""
    positions = [STEP_MM * at - 300 for at in range(len(lung_fractions))]
    return positions, [
        None if fraction is None else Chest(fraction, 0, 0, 0, 9, 0, 9) for fraction in lung_fractions
    ]


LUNGS = [0.05, 0.1, *[0.4] * 20, 0.1, 0.05]  # from base to apex, 115 mm
NECK, ABDOMEN = [0.0] * 4, [0.0, 0.0, None, 0.01]


def test_the_lungs_reach_from_their_lowest_to_their_highest_slice() -> None:
    extent = find_lung_extent(*stack(*ABDOMEN, *LUNGS, *NECK))
    assert extent == LungExtent(base_mm=-280, apex_mm=-165)
    assert [extent.position(mm) for mm in (-280, -222.5, -165)] == [0, 0.5, 1]
    assert [extent.position(mm) for mm in (-281, -164)] == [UNKNOWN_POSITION] * 2, "it is not in the lungs"


def test_a_scan_that_stops_within_the_lungs_says_nothing_of_positions() -> None:
    assert find_lung_extent(*stack(*LUNGS[2:], *NECK)) is None, "without their base"
    assert find_lung_extent(*stack(*ABDOMEN, *LUNGS[:-2])) is None, "without their apex"
    assert find_lung_extent(*stack(*LUNGS[2:-2])) is None


def test_a_scan_that_stops_right_at_a_tip_shows_it() -> None:
    extent = find_lung_extent(*stack(*LUNGS))
    assert extent == LungExtent(base_mm=-300, apex_mm=-185)


def test_slices_that_are_missing_at_an_end_leave_it_unknown_and_others_do_not() -> None:
    positions, chests = stack(*ABDOMEN, *LUNGS, *NECK)
    first = len(ABDOMEN)
    within = [at for at in range(len(positions)) if not first + 8 <= at < first + 16]
    assert find_lung_extent([positions[at] for at in within], [chests[at] for at in within]) == LungExtent(
        -280, -165
    )
    at_base = [at for at in range(len(positions)) if not first - 2 <= at < first]
    assert find_lung_extent([positions[at] for at in at_base], [chests[at] for at in at_base]) is None


def test_a_few_slices_are_no_lungs() -> None:
    assert find_lung_extent(*stack(*NECK, *[0.4] * 8, *NECK)) is None
    assert find_lung_extent(*stack(*NECK)) is None
    assert find_lung_extent([], []) is None


@given(
    st.floats(-2000, 2000),
    st.floats(60, 400),
    st.lists(st.floats(0, 1), min_size=2, max_size=20),
)
def test_the_height_of_the_lungs_follows_from_the_rows(
    base_mm: float, height_mm: float, fractions: list[float]
) -> None:
    extent = LungExtent(base_mm, base_mm + height_mm)
    rows = [
        SliceRow("P", "A", "1.2", str(at), mm, 0.3, 5.0, position=extent.position(mm))
        for at, mm in enumerate(base_mm + fraction * height_mm for fraction in fractions)
    ]
    assert all(row.position == UNKNOWN_POSITION or 0 <= row.position <= 1 for row in rows)
    known = [row.position for row in rows if row.has_position]
    heights = lung_heights(rows)
    if len(known) < 2 or max(known) - min(known) < 1e-3:
        return
    assert heights == {("P", "1.2", ""): pytest.approx(height_mm, rel=1e-6)}


def test_positions_of_phantoms_rise_from_0_to_1_along_the_body(phantom_folder: Path) -> None:
    done = normalize([phantom_folder], NormalizationRecipe(size=16), Pseudonyms())
    assert done.report.without_position == 0
    patients = {row.patient for row in done.shard.rows}
    for patient in patients:
        rows = [row for row in done.shard.rows if row.patient == patient]
        assert [rows[0].position, rows[-1].position] == [0, 1]
        steps = np.diff([row.position for row in rows])
        assert (steps > 0).all()
        mm = np.diff([row.position_mm for row in rows])
        assert np.allclose(steps / mm, steps[0] / mm[0]), "as far apart as in mm"
    heights = lung_heights(done.shard.rows)
    assert len(heights) == len(patients)
    assert all(200 < height < 270 for height in heights.values())


def test_the_position_of_a_slice_does_not_depend_on_which_others_are_kept(phantom_folder: Path) -> None:
    some = next(folder for folder in sorted(phantom_folder.iterdir()) if folder.is_dir())

    def positions(recipe: NormalizationRecipe) -> dict[str, float]:
        rows = normalize([some], recipe, Pseudonyms()).shard.rows
        return {row.sop_uid: row.position for row in rows}

    lungs = positions(NormalizationRecipe(size=16))
    everything = positions(NormalizationRecipe(size=16, min_lung_fraction=0))
    trimmed = positions(NormalizationRecipe(size=16, trim=0.2))
    assert trimmed.items() < lungs.items() < everything.items()
    others = {position for uid, position in everything.items() if uid not in lungs}
    assert others == {UNKNOWN_POSITION}, "below and above the lungs"


def test_of_half_a_scan_no_position_is_known(phantom_folder: Path, tmp_path: Path) -> None:
    some = next(folder for folder in sorted(phantom_folder.iterdir()) if folder.is_dir())
    files = [path for path in some.rglob("*") if path.is_file()]
    by_height = sorted(files, key=lambda path: pydicom.dcmread(path).ImagePositionPatient[2])
    for path in by_height[: len(by_height) // 2]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    report = normalize([tmp_path], NormalizationRecipe(size=16), Pseudonyms()).report
    assert report.without_position == report.kept > 0
    assert report.as_json()["without_position"] == report.kept


def test_a_slice_that_cannot_be_read_is_a_gap_and_not_the_end_of_the_lungs(tmp_path: Path) -> None:
    shown = [False, *[True] * 30, False]
    for at, lung in enumerate(shown):
        (tmp_path / f"{at:02d}").write_bytes(as_bytes(ct_slice(chest_hu(lung=lung), z=3.0 * at)))
    whole = normalize([tmp_path], NormalizationRecipe(size=16), Pseudonyms())
    assert [row.position for row in whole.shard.rows[::29]] == [0, 1]
    for at in (15, 31):
        (tmp_path / f"{at:02d}").write_bytes((tmp_path / f"{at:02d}").read_bytes()[:9000])
    cut = normalize([tmp_path], NormalizationRecipe(size=16), Pseudonyms())
    assert cut.report.without_position == len(cut.shard.rows) == 29, "whether lung went on above is not known"


def test_positions_of_real_patients_rise_and_a_part_of_a_scan_has_none(real_data: Path) -> None:
    done = normalize([real_data / "dicom" / "lung_pet_ct_dx"], NormalizationRecipe(size=16), Pseudonyms())
    assert done.report.without_position == 0
    for uid in {row.series_uid for row in done.shard.rows}:
        positions = [row.position for row in done.shard.rows if row.series_uid == uid]
        assert positions[0] == 0
        assert positions[-1] == 1
        assert all(low < high for low, high in pairwise(positions))
    assert set(lung_heights(done.shard.rows).values()) == {235.0}
    part = normalize([real_data / "dicom-more" / "lidc_idri"], NormalizationRecipe(size=16), Pseudonyms())
    assert part.report.without_position == part.report.kept == 11
