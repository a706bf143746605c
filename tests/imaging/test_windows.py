"""Windows: Hounsfield units to [-1, 1] and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.imaging.windows import WINDOWS, Window

WIDTHS = st.integers(1, 4096)
CENTRES = st.integers(-1024, 3071)


@given(CENTRES, WIDTHS, st.lists(st.integers(-1024, 3071), min_size=1))
def test_units_inside_the_window_survive_the_round_trip_and_others_stop_at_its_ends(centre, width, values):
    window = Window(centre, 2 * width)
    hu = np.array(values, np.int16)
    unit = window.to_unit(hu)
    assert unit.dtype == np.float32
    assert np.abs(unit).max() <= 1
    back = window.from_unit(unit)
    assert back.dtype == np.int16
    assert np.array_equal(back, np.clip(hu, centre - width, centre + width))


@given(CENTRES, WIDTHS, st.lists(st.integers(-1024, 3071), min_size=1))
def test_tensors_get_what_arrays_get(centre, width, values):
    window, hu = Window(centre, width), np.array(values, np.int16)
    unit = window.to_unit(torch.from_numpy(hu))
    assert unit.dtype == torch.float32
    assert np.array_equal(unit.numpy(), window.to_unit(hu))
    assert window.from_unit(unit).dtype == torch.int16
    assert np.array_equal(window.from_unit(unit).numpy(), window.from_unit(window.to_unit(hu)))


@pytest.mark.parametrize(("name", "black", "white"), [("lung", -1350, 150), ("wide", -1000, 400)])
def test_the_presets_end_where_radiology_puts_them(name, black, white):
    assert WINDOWS[name].to_unit(np.array([black - 5, black, white, white + 5])).tolist() == [-1, -1, 1, 1]
    assert WINDOWS[name].from_unit(np.array([-3.0, 3.0], np.float32)).tolist() == [black, white]
