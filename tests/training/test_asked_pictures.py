"""What a training shows of a generator that is told of tumours: pairs of one seed, and a synthetic patient."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chestgan_core.imaging.pictures import FRAME
from chestgan_core.training.asked_pictures import PAIRS, write_asked
from tests.publishing.boxed_sets import asking_experiment, asking_generator


def test_a_pair_is_framed_at_one_place_and_a_patient_is_drawn_slice_by_slice(tmp_path: Path) -> None:
    generator = asking_generator(tmp_path / "model", asking_experiment())
    write_asked(generator, tmp_path)
    with Image.open(tmp_path / "pairs.png") as sheet:
        framed = (np.asarray(sheet) == FRAME).all(axis=2)
    shown, without, difference = np.split(np.pad(framed, ((0, 2), (0, 2))), 3)
    assert shown.any()
    assert np.array_equal(shown, without)
    assert np.array_equal(shown, difference)
    columns = np.split(shown, PAIRS, axis=1)
    assert all(column.any() for column in columns), "each seed has a tumour"
    assert any(not np.array_equal(column, columns[0]) for column in columns)
    assert generator.layouts is not None
    with Image.open(tmp_path / "patient.gif") as patient:
        assert patient.n_frames == int(generator.layouts.lung_mm // 5)  # type: ignore[attr-defined]
        assert min(patient.size) >= 128


@pytest.mark.parametrize(
    ("position", "tumour", "written"),
    [(True, False, {"patient.gif"}), (False, True, {"pairs.png"})],
)
def test_only_what_a_generator_is_told_of_is_shown(
    position: bool, tumour: bool, written: set[str], tmp_path: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    experiment = asking_experiment(position=position, tumour=tumour)
    write_asked(asking_generator(tmp_path / "model", experiment), tmp_path / "pictures")
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == written
