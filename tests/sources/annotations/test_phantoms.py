"""Boxes of phantoms: the truth of what was painted, slice by slice, without a look at the pixels."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import yaml

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.sources.annotations.boxes import TumourBox
from chestgan_core.sources.annotations.gather import gather_annotations
from chestgan_core.sources.annotations.masks import mask_of, packed
from chestgan_core.sources.annotations.phantoms import phantom_boxes
from chestgan_core.sources.annotations.stored import read_annotations
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.sources.phantom.growth import draw_anatomy
from chestgan_core.sources.phantom.patients import PhantomPatient, histology_of, write_phantom
from chestgan_core.sources.phantom.source import PhantomConfig
from chestgan_core.sources.phantom.tumours import phantom_tumour
from chestgan_core.store.store import Store

SIZE, SLICES = 128, 40


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> PhantomPatient:
    return write_phantom(tmp_path_factory.mktemp("phantom"), 2, seed=5, size=SIZE, slices=SLICES)


def test_the_masks_are_the_soft_tissue_that_the_files_show_there(written: PhantomPatient) -> None:
    tumour = phantom_tumour(2, 5, SIZE, SLICES)
    assert (tumour.patient_id, tumour.series_uid) == (written.patient_id, written.series_uid)
    shown = {one.sop_uid: one for one in tumour.slices}
    assert shown
    for path in written.files:
        file = pydicom.dcmread(path)
        if (one := shown.pop(str(file.SOPInstanceUID), None)) is None:
            continue
        height, width = one.mask.shape
        hu = file.pixel_array * file.RescaleSlope + file.RescaleIntercept
        part = hu[one.top : one.top + height, one.left : one.left + width]
        # The border of a soft kernel mixes tissue with lung.
        assert np.median(part[one.mask]) > -100
        assert one.mask.any(axis=0).all()
        assert one.mask.any(axis=1)[[0, -1]].all()
    assert not shown, "a slice of the truth that was never written"


def test_a_slice_shows_the_tumour_as_large_as_the_ball_is_there() -> None:
    tumour = phantom_tumour(2, 5, SIZE, SLICES)
    anatomy = draw_anatomy(5, 2, histology_of(2, 5))
    ball, pixel = anatomy.tumour, anatomy.field_of_view / SIZE
    depths = (np.arange(SLICES) + 0.5) * anatomy.length / SLICES
    cut = depths[abs(depths - ball.depth) < ball.radius]
    assert len(tumour.slices) in (len(cut) - 2, len(cut) - 1, len(cut))  # a tip may fill no pixel
    areas = [one.mask.sum() * pixel**2 for one in tumour.slices]
    of_ball = [np.pi * (ball.radius**2 - (depth - ball.depth) ** 2) for depth in cut]
    # Lobes and spikes make it larger than the ball, never by half.
    assert max(of_ball) < max(areas) < 1.5 * max(of_ball)
    assert max(areas) == areas[int(np.argmin(abs(cut - ball.depth)))]


def test_the_boxes_of_all_patients_are_gathered_and_read_back_with_their_masks(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_DATASETS", str(tmp_path / "datasets"))
    write_dataset(tmp_path / "datasets" / "small.yaml")
    catalog, _ = catalog_series(store, "small", tmp_path)
    stored = gather_annotations(store, "small", tmp_path)
    found = stored.annotations
    assert read_annotations(store, "small") == found
    assert gather_annotations(store, "small", tmp_path).version == stored.version
    assert found.defects == {}
    assert {box.patient for box in found.boxes} == set(catalog.patients)
    assert set(found.annotated_series) == {row.key for row in catalog.selected}
    assert {found.patient_of[row.key] for row in catalog.selected} == set(catalog.patients)
    for box in found.boxes:
        mask = mask_of(box)
        assert mask is not None
        assert mask.any(axis=1).all()
        assert mask.any(axis=0).all()


def test_a_patient_does_not_depend_on_how_many_there_are() -> None:
    def config(patients: int) -> PhantomConfig:
        return PhantomConfig(kind="phantom", patients=patients, slices=12)

    two, three = phantom_boxes(config(2)), phantom_boxes(config(3))
    assert three.boxes[: len(two.boxes)] == two.boxes
    assert two.series.items() <= three.series.items()


def test_only_generated_patients_have_boxes_of_this_kind(
    tmp_path: Path, store: Store, written: PhantomPatient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHESTGAN_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("CHESTGAN_TEST_DICOM", str(written.folder))
    source = {"kind": "folder", "path_variable": "CHESTGAN_TEST_DICOM"}
    write_dataset(tmp_path / "datasets" / "small.yaml", source=source)
    catalog_series(store, "small", tmp_path)
    with pytest.raises(BadInput, match="its source is not of kind phantom"):
        gather_annotations(store, "small", tmp_path)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (2, 100)])
def test_a_mask_is_read_as_it_was_packed(shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(shape).random(shape) < 0.5
    box = TumourBox("P", "1.2", 10, 20, 10 + shape[1], 20 + shape[0], "", "phantom", mask=packed(mask))
    read = mask_of(box)
    assert read is not None
    np.testing.assert_array_equal(read, mask)


def test_a_mask_of_another_size_than_its_box_is_damaged() -> None:
    box = TumourBox("P", "1.2", 0, 0, 30, 30, "", "phantom", mask=packed(np.ones((5, 5), bool)))
    with pytest.raises(DamagedObject, match="has 4 bytes for 30 x 30 pixels"):
        mask_of(box)


def write_dataset(path: Path, **changes: object) -> None:
    path.parent.mkdir(exist_ok=True)
    fields = {
        "title": "phantoms", "image_kind": "phantom", "licence": "none", "private": False, "slice_size": 32,
        "source": {"kind": "phantom", "patients": 2, "slices": 20}, "annotations": [{"kind": "phantom"}],
    }  # fmt: skip
    path.write_text(yaml.safe_dump(fields | changes))
