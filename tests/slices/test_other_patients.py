"""Held-out slices are of other patients, as far as their ids can tell."""

import logging

import numpy as np
import pytest

from chestgan_core.errors import BadInput
from chestgan_core.slices.other_patients import Side, require_other_patients

FIRST, SECOND = np.array([[[0, 1]], [[2, 3]]]), np.array([[[4, 5]]])


def test_slices_of_other_patients_pass_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    require_other_patients(Side(FIRST, ["A", "B"]), Side(SECOND, ["C"]), "the held-out slices")
    assert not caplog.records


@pytest.mark.parametrize(
    ("held_out", "cause"),
    [
        (Side(SECOND, ["B"]), r"1 of their 1 patient\(s\) in common"),
        (Side(SECOND, [""]), "slices without a patient"),
        (Side(FIRST[:1], ["C"]), r"1 slice\(s\) in common .* under other names of patients"),
    ],
)
def test_what_both_sides_share_is_refused(held_out: Side, cause: str) -> None:
    with pytest.raises(BadInput, match=cause):
        require_other_patients(Side(FIRST, ["A", "B"]), held_out, "the held-out slices")


@pytest.mark.parametrize(
    ("trained", "held_out"), [(["A", "NOID-000000000001"], ["C"]), (["A", "B"], ["NOID-000000000002"])]
)
def test_of_patients_without_an_id_nobody_knows_and_a_warning_says_so(
    caplog: pytest.LogCaptureFixture, trained: list[str], held_out: list[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        require_other_patients(Side(FIRST, trained), Side(SECOND, held_out), "the held-out slices")
    assert "1 patient(s) of them and of the training slices have no id" in caplog.text
