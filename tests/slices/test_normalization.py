"""From a delivery to normalized slices and their report."""

import logging
import shutil
import tracemalloc
import zipfile
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chestgan_core.dicom.file_walk import Archives
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.dicom.series import read_series
from chestgan_core.errors import BadInput
from chestgan_core.imaging.lung_mask import find_chest
from chestgan_core.imaging.perceptual_hash import distance, near_pairs
from chestgan_core.local.progress import Progress
from chestgan_core.slices.normalization import Normalized, normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.selection import NEAR_BITS
from chestgan_core.slices.series_slices import SliceLeftOut, normalize_series
from chestgan_core.slices.shards import write_shard
from tests.dicom.ct_files import as_bytes, chest_hu, ct_slice, write_series

RECIPE = NormalizationRecipe(size=32)


def normalized(path: Path, recipe: NormalizationRecipe = RECIPE) -> Normalized:
    done = normalize([path], recipe, Pseudonyms())
    report = done.report
    assert report.files == report.kept + sum(report.left_out.values())
    return done


def one(folder: Path, **changes: object) -> np.ndarray:
    """The only slice that a file with these changes gives."""
    folder.mkdir()
    (folder / "a").write_bytes(as_bytes(ct_slice(**changes)))
    done = normalized(folder)
    assert len(done.shard.slices) == 1
    return done.shard.slices[0]


def test_every_file_is_counted_once_and_every_kept_slice_has_its_row(tmp_path):
    write_series(tmp_path / "a", count=4)
    write_series(tmp_path / "b", count=2, series="2.25.2", PatientID="PH-G0002")
    (tmp_path / "LICENSE").write_bytes(b"text")
    (tmp_path / "neck").write_bytes(as_bytes(ct_slice(chest_hu(lung=False), z=90)))
    (tmp_path / "cut").write_bytes(as_bytes(ct_slice(z=93))[:9000])
    done = normalized(tmp_path)
    assert done.report.left_out == {LeftOut.NOT_DICOM: 1, LeftOut.NO_LUNG: 1, LeftOut.UNREADABLE: 1}
    assert (done.report.files, done.report.series, done.report.patients, done.report.kept) == (9, 2, 2, 6)
    assert done.shard.slices.shape == (6, 32, 32)
    assert done.shard.slices.dtype == np.int16
    assert [row.position_mm for row in done.shard.rows] == [0.0, 3.0, 6.0, 9.0, 0.0, 3.0]
    assert {(row.patient, row.histology) for row in done.shard.rows} == {("PH-A0001", "A"), ("PH-G0002", "G")}
    report = done.report.as_json()
    assert report["left_out"] == {"no-lung": 1, "not-dicom": 1, "unreadable": 1}
    assert report["size"] == 32
    (cut,) = [cause for cause in report["causes"] if cause["reason"] == "unreadable"]
    assert (cut["cause"], cut["files"]) == ("cut off inside the pixels", 1)
    assert cut["example"].endswith("cut")


def test_a_row_says_how_the_slice_was_made(tmp_path):
    write_series(tmp_path, count=2, ConvolutionKernel="B70f", SliceThickness=5)
    first, second = normalized(tmp_path).shard.rows
    assert (first.kernel, first.thickness_mm) == ("B70f", 5.0)
    assert (first.stored_rows, first.stored_columns, first.upright) == (128, 128, "")
    # The body is 102 of 128 pixels wide and 71 high, the crop a square around it.
    assert first.crop_rows == first.crop_columns == pytest.approx(106, abs=4)
    assert first.crop_left + first.crop_columns / 2 == pytest.approx(64, abs=2)
    assert first.crop_top + first.crop_rows / 2 == pytest.approx(64, abs=2)
    assert distance(first.phash, second.phash) == 0


def test_a_row_says_whose_scanner_and_patient_it_was_in_closed_lists_only(tmp_path):
    known = {"Manufacturer": "SIEMENS Healthineers", "PatientSex": "F", "PatientAge": "071Y"}
    write_series(tmp_path / "a", count=2, **known)
    write_series(tmp_path / "b", count=2, series="2.25.2", PatientID="PH-G0002", Manufacturer="Mueller^Hans",
                 PatientSex="FEMALE", PatientAge="Hans")  # fmt: skip
    write_series(tmp_path / "c", count=2, series="2.25.3", PatientID="PH-G0003", PatientBirthDate="19400101")
    rows = {row.patient: row for row in normalized(tmp_path).shard.rows}
    found = {patient: (row.manufacturer, row.sex, row.age_band) for patient, row in rows.items()}
    assert found == {
        "PH-A0001": ("Siemens", "F", "65 to 74"),
        "PH-G0002": ("other", "", ""),
        "PH-G0003": ("", "", ""),  # an age is not computed from a birth date
    }


def test_real_neighbours_have_similar_hashes_and_different_patients_never_have(real_data):
    rows = normalized(real_data / "dicom", NormalizationRecipe(size=128)).shard.rows
    near = [distance(a.phash, b.phash) for a, b in pairwise(rows) if a.series_uid == b.series_uid]
    assert median(near) < 2.5 * NEAR_BITS
    pairs = near_pairs([row.phash for row in rows], 4 * NEAR_BITS)
    assert pairs
    assert all(rows[i].patient == rows[j].patient for i, j, _ in pairs)


def test_private_rows_hold_no_identifier_of_the_files(tmp_path):
    write_series(tmp_path, PatientID="Doe^Jane")
    done = normalize([tmp_path], RECIPE, Pseudonyms(b"k" * 32))
    text = repr(done.shard.rows) + repr(done.report)
    assert "Doe" not in text
    assert "2.25.1'" not in text
    assert "2.25.1.1" not in text


def test_a_damaged_zip_entry_is_unreadable_and_the_rest_is_kept(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for index in range(3):
            archive.writestr(f"{index}", as_bytes(ct_slice(z=index * 3)))
        middle = archive.infolist()[1].header_offset + 20000
    data = bytearray(path.read_bytes())
    data[middle] ^= 255
    path.write_bytes(data)
    done = normalized(path)
    assert (done.report.kept, done.report.left_out) == (2, {LeftOut.UNREADABLE: 1})
    ((reason, example),) = [(cause.reason, cause.example) for cause in done.report.causes]
    assert reason == LeftOut.UNREADABLE
    assert example.endswith("a.zip:1")


def damaged_zips(folder: Path, count: int) -> list[Path]:
    """Zips of one slice each, all of one series; in every second one the pixels are damaged."""
    paths = []
    for index in range(count):
        paths.append(folder / f"{index:02d}.zip")
        with zipfile.ZipFile(paths[-1], "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(f"slice{index}", as_bytes(ct_slice(z=index * 3)))
        if index % 2:
            data = bytearray(paths[-1].read_bytes())
            data[20000] ^= 255
            paths[-1].write_bytes(data)
    return paths


def test_each_damaged_slice_is_named(tmp_path):
    (series,) = read_series(damaged_zips(tmp_path, 16)).series
    with Archives() as archives:
        outcomes = list(normalize_series(series, RECIPE, archives))
    assert [outcome.where for outcome in outcomes if isinstance(outcome, SliceLeftOut)] == [
        f"{tmp_path}/{index:02d}.zip:slice{index}" for index in range(1, 16, 2)
    ]


def test_damage_in_more_zips_than_stay_open_is_reported_of_each_and_the_rest_is_kept(tmp_path):
    damaged_zips(tmp_path, 16)
    report = normalized(tmp_path).report
    assert (report.kept, report.left_out) == (8, {LeftOut.UNREADABLE: 8})
    ((files, example),) = [(cause.files, cause.example) for cause in report.causes]
    assert (files, example) == (8, f"{tmp_path}/01.zip:slice1")


def test_a_zip_that_vanishes_is_named_by_what_is_known(tmp_path):
    (path,) = damaged_zips(tmp_path, 1)
    (series,) = read_series([path]).series
    path.unlink()
    with Archives() as archives:
        (outcome,) = normalize_series(series, RECIPE, archives)
    assert isinstance(outcome, SliceLeftOut)
    assert (outcome.reason, outcome.where) == (LeftOut.UNREADABLE, f"{path}:entry 1")


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        ([-1, 0, 0, 0, 1, 0], lambda hu: hu[:, ::-1]),
        ([1, 0, 0, 0, -1, 0], lambda hu: hu[::-1]),
        ([-1, 0, 0, 0, -1, 0], lambda hu: hu[::-1, ::-1]),
        ([0, 1, 0, 1, 0, 0], lambda hu: hu.T),
        ([0, -1, 0, 1, 0, 0], lambda hu: hu.T[:, ::-1]),
        ([0, 1, 0, -1, 0, 0], lambda hu: hu.T[::-1]),
    ],
)
def test_however_a_slice_is_stored_the_left_is_on_the_right_and_the_back_below(tmp_path, orientation, stored):
    hu = chest_hu()
    hu[40:50, 30:36] = 900  # a mark that no flip leaves in place
    plain = one(tmp_path / "plain", hu=hu)
    turned = np.ascontiguousarray(stored(hu))
    again = one(tmp_path / "turned", hu=turned, ImageOrientationPatient=orientation)
    assert np.array_equal(plain, again)


def test_pixels_that_are_not_square_keep_the_proportions(tmp_path):
    tall = np.repeat(chest_hu(), 2, axis=0)
    a = one(tmp_path / "square")
    b = one(tmp_path / "tall", hu=tall, PixelSpacing=[1.4, 2.8])
    assert np.abs(a.astype(int) - b).mean() < 40


def test_the_body_fills_the_frame_and_the_rest_is_air(tmp_path):
    small = one(tmp_path / "a")
    columns = np.flatnonzero((small > -500).any(0))
    assert (columns[0], columns[-1]) in {(0, 31), (1, 30)}
    row = normalized(tmp_path / "a").shard.rows[0]
    assert row.pixel_mm == pytest.approx(0.8 * 128 * 2.8 * 1.04 / 32, rel=0.05)


def test_a_body_that_the_field_of_view_cuts_is_padded_with_air_and_keeps_its_lungs(tmp_path):
    hu = chest_hu()[:, 36:]  # the right lung is open to the edge of the image
    (tmp_path / "a").write_bytes(as_bytes(ct_slice(np.ascontiguousarray(hu))))
    done = normalized(tmp_path)
    whole = find_chest(chest_hu(), 1)
    assert done.shard.rows[0].lung_fraction > 0.7 * whole.lung_fraction
    tall = one(tmp_path / "tall", hu=np.ascontiguousarray(chest_hu(table=False)[34:94]))
    assert (tall[0] == -1024).all()


def test_the_table_is_neither_body_nor_lung():
    with_table, without = find_chest(chest_hu(), 1), find_chest(chest_hu(table=False), 1)
    assert with_table == without


@pytest.mark.parametrize(
    "hu",
    [
        chest_hu(lung=False),
        chest_hu(lung=False, trachea=False),
        np.full((128, 128), -1000, np.int16),
        np.full((128, 128), 40, np.int16),
    ],
    ids=["windpipe", "abdomen", "air", "full"],
)
def test_a_slice_without_lung_is_left_out(hu):
    chest = find_chest(hu, 1)
    assert chest is None or chest.lung_fraction < 0.01


@given(st.sampled_from([64, 100, 128, 256, 300]), st.integers(0, 3))
def test_the_lung_fraction_does_not_depend_on_the_grid(size, seed):
    noise = np.random.default_rng(seed).normal(0, 40, (size, size))
    hu = np.clip(chest_hu(size) + noise, -1024, 3071).astype(np.int16)
    assert find_chest(hu, 1).lung_fraction == pytest.approx(find_chest(chest_hu(), 1).lung_fraction, abs=0.03)


@pytest.mark.parametrize(("trim", "left"), [(0.0, 10), (0.1, 8), (0.25, 6), (0.49, 2)])
def test_trimming_takes_the_same_number_at_both_ends_of_the_lungs(tmp_path, trim, left):
    write_series(tmp_path, count=10)
    for index in range(4):
        neck = ct_slice(chest_hu(lung=False), z=300 + index)
        (tmp_path / f"neck{index}").write_bytes(as_bytes(neck))
    done = normalized(tmp_path, NormalizationRecipe(size=16, trim=trim))
    positions = [row.position_mm for row in done.shard.rows]
    cut = (10 - left) // 2
    assert positions == [3.0 * index for index in range(cut, 10 - cut)]
    assert done.report.left_out.get(LeftOut.TRIMMED, 0) == 10 - left


def test_a_series_gives_one_outcome_for_each_slice(tmp_path):
    write_series(tmp_path, count=5)
    (tmp_path / "neck").write_bytes(as_bytes(ct_slice(chest_hu(lung=False), z=90)))
    (series,) = read_series([tmp_path]).series
    with Archives() as archives:
        outcomes = list(normalize_series(series, RECIPE, archives))
    assert {outcome.header.sop_uid for outcome in outcomes} == {header.sop_uid for header in series.slices}
    assert [o.reason for o in outcomes if isinstance(o, SliceLeftOut)] == [LeftOut.NO_LUNG]


def test_a_delivery_without_lung_is_bad_input_that_lists_reasons(tmp_path):
    write_series(tmp_path, hu=chest_hu(lung=False))
    with pytest.raises(
        BadInput, match="no lung region was found in their series; left out: no-lung 3; give CT"
    ):
        normalize([tmp_path], RECIPE, Pseudonyms())


def test_progress_says_how_much_is_done_and_left_out(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_series(tmp_path)
    (tmp_path / "x").write_bytes(b"text")
    with Progress("normalize", None, "slices") as progress:
        normalize([tmp_path], RECIPE, Pseudonyms(), progress)
    assert "3/3 slices" in caplog.text
    assert "left out not-dicom 1" in caplog.text


def test_the_same_delivery_gives_the_same_slices_whatever_the_files_are_called(tmp_path):
    write_series(tmp_path / "a", count=5)
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, file in enumerate(sorted((tmp_path / "a").iterdir(), reverse=True)):
            archive.write(file, f"{number}.dcm")
    a, b = normalized(tmp_path / "a").shard, normalized(tmp_path / "b.zip").shard
    assert np.array_equal(a.slices, b.slices)
    assert a.rows == b.rows


def delivery() -> list[bytes]:
    """Files of everything that is told apart by content: copies, two scans, colliding UIDs, patients without an id."""
    hu = chest_hu(64)
    dense = np.where(hu > 0, hu + 60, hu).astype(np.int16)
    common = {"PixelSpacing": [5.6, 5.6]}
    files = []
    for at in range(3):
        plain = ct_slice(hu, z=3.0 * at, ConvolutionKernel="B30f", AcquisitionNumber=1, **common)
        sharp = ct_slice(
            dense,
            z=3.0 * at,
            ConvolutionKernel="B70f",
            AcquisitionNumber=2,
            SOPInstanceUID=f"2.25.9.{at}",
            SeriesDescription="lung",
            **common,
        )
        stranger = ct_slice(dense, z=3.0 * at, PatientID="PH-B0002 ", **common)
        unnamed = ct_slice(hu, z=3.0 * at, series=f"2.25.3{at}", PatientID=None, **common)
        one_uid = ct_slice(hu + at, z=at, series="2.25.4", SOPInstanceUID="2.25.4", **common)
        files += map(as_bytes, (plain, plain, sharp, stranger, unnamed, one_uid))
    return files


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(18)), zipped=st.booleans())
def test_names_and_order_of_files_change_no_byte_of_a_shard(tmp_path, order, zipped):
    shards = []
    for names in (range(18), order):
        folder = tmp_path / "in"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        named = [(f"{name:02d}", file) for name, file in zip(names, delivery(), strict=True)]
        if zipped and names is order:
            with zipfile.ZipFile(folder / "all.zip", "w") as archive:
                for name, file in named:
                    archive.writestr(name, file)
        else:
            for name, file in named:
                (folder / name).write_bytes(file)
        done = normalize([folder], RECIPE, Pseudonyms(b"k" * 32))
        write_shard(done.shard, tmp_path / "a.safetensors")
        shards.append([(tmp_path / f"a.{end}").read_bytes() for end in ("safetensors", "parquet")])
        report = done.report
        assert (report.files, report.kept, report.left_out) == (18, 15, {LeftOut.DUPLICATE: 3})
        assert (report.patients, report.series, report.stacks) == (5, 6, 7)
        assert len({row.sop_uid for row in done.shard.rows}) == 15
        assert {(row.kernel, bool(row.stack)) for row in done.shard.rows} == {
            ("soft", True),
            ("lung", True),
            ("unknown", False),
        }
    assert shards[0] == shards[1]


@pytest.mark.parametrize("wrong", [{"size": 4}, {"trim": 0.5}, {"trim": -0.1}, {"min_lung_fraction": 1.0}])
def test_an_invalid_recipe_names_the_field(wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        NormalizationRecipe(**wrong)


def test_recipes_that_give_other_slices_have_other_versions():
    recipes = [
        RECIPE,
        NormalizationRecipe(),
        NormalizationRecipe(trim=0.1),
    ]
    assert len({recipe.version for recipe in recipes}) == 3
    assert NormalizationRecipe(size=32).version == RECIPE.version


def test_a_delivery_takes_the_memory_of_its_result_and_not_twice_that(tmp_path):
    write_series(tmp_path / "in", count=24)
    recipe = NormalizationRecipe(size=384)
    normalized(tmp_path / "in", NormalizationRecipe(size=8))  # what is allocated once
    tracemalloc.start()
    try:
        shard = normalized(tmp_path / "in", recipe).shard
        write_shard(shard, tmp_path / "a.safetensors")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert shard.slices.shape == (24, 384, 384)
    assert peak < 1.6 * shard.slices.nbytes


def test_of_phantoms_the_slices_with_lung_are_kept(phantom_folder):
    done = normalized(phantom_folder)
    assert done.report.patients == 5
    assert 0.4 < done.report.kept / done.report.files < 1
    assert done.report.left_out[LeftOut.NO_LUNG] > 0
    assert {row.histology for row in done.shard.rows} <= set("ABEG")


def test_real_chests_are_kept_and_necks_are_not(real_data):
    done = normalized(real_data / "dicom")
    assert done.report.patients == 4
    assert done.report.left_out.keys() == {LeftOut.NO_LUNG, LeftOut.NOT_CT, LeftOut.NOT_DICOM}
    assert 0.6 < done.report.kept / 453 < 0.8
    with pytest.raises(BadInput, match="no-lung 6"):
        normalize([real_data / "edge-cases" / "neck-only"], RECIPE, Pseudonyms())


def test_real_reformats_are_not_axial(real_data):
    done = normalized(real_data / "edge-cases" / "orientation")
    assert (done.report.kept, done.report.left_out) == (2, {LeftOut.NOT_AXIAL: 4})
