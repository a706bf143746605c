"""Environment variables: what cannot be used is refused by name, with what it may be."""

import re
from pathlib import Path

import pytest

from chestgan_core.errors import BadInput
from chestgan_core.local.environment import (
    choice_from_environment,
    number_from_environment,
    path_from_environment,
    whole_number_from_environment,
)

NAME = "CHESTGAN_TEST"


@pytest.mark.parametrize(("text", "number"), [("1", 1.0), (" 2.5 ", 2.5), ("10", 10.0), ("", 7.0)])
def test_a_number_within_its_bounds_is_read_and_an_empty_variable_is_unset(
    text: str, number: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, text)
    assert number_from_environment(NAME, 1, 10, 7.0) == number


@pytest.mark.parametrize("text", ["abc", "0.9", "11", "nan", "inf", "1,5", "-1"])
def test_what_is_not_such_a_number_is_refused_with_the_bounds(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, text)
    said = f"{NAME}: '{text}' is not a number from 1 to 10; correct it, or unset it"
    with pytest.raises(BadInput, match=f"^{re.escape(said)}$"):
        number_from_environment(NAME, 1, 10)


def test_a_bound_of_infinity_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    assert number_from_environment(NAME, 0) is None
    monkeypatch.setenv(NAME, "-1")
    with pytest.raises(BadInput, match="'-1' is not a number of at least 0"):
        number_from_environment(NAME, 0)


@pytest.mark.parametrize(("text", "number"), [("1", 1), (" 10 ", 10), ("007", 7), ("", 3)])
def test_a_whole_number_within_its_bounds_is_read(
    text: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, text)
    assert whole_number_from_environment(NAME, 1, 10, 3) == number


@pytest.mark.parametrize("text", ["abc", "0", "11", "2.0", "1e1", "-1", "+1", "1_0", "\u0663", "9" * 5000])
def test_what_is_no_whole_number_is_refused_with_the_bounds(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(BadInput, match=f"^{NAME}: '.*' is not a whole number from 1 to 10"):
        whole_number_from_environment(NAME, 1, 10)


def test_a_value_that_is_none_of_the_choices_is_answered_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choices = ("multiprocess", "in_process", "k8s")
    monkeypatch.delenv(NAME, raising=False)
    assert choice_from_environment(NAME, choices, "k8s") == "k8s"
    monkeypatch.setenv(NAME, "in_process")
    assert choice_from_environment(NAME, choices) == "in_process"
    monkeypatch.setenv(NAME, "multiproces")
    with pytest.raises(
        BadInput, match=r"CHESTGAN_TEST: 'multiproces' is not a valid value; did you mean multiprocess"
    ):
        choice_from_environment(NAME, choices)


def test_a_path_must_be_set_and_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    with pytest.raises(BadInput, match="CHESTGAN_TEST: is not set; set it to the folder of the files"):
        path_from_environment(NAME, "the folder of the files")
    monkeypatch.setenv(NAME, str(tmp_path / "none"))
    with pytest.raises(BadInput, match="none: there is no such file or folder; set CHESTGAN_TEST to"):
        path_from_environment(NAME, "the folder of the files")
    monkeypatch.setenv(NAME, str(tmp_path))
    assert path_from_environment(NAME, "the folder of the files") == tmp_path.resolve()
