"""Search spaces are data: errors name line and field, and each value gives an experiment or an error with a cause."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.config.experiment import Experiment, load_experiment
from chestgan_core.config.names import experiment_files
from chestgan_core.errors import BadExperiment
from chestgan_core.tuning.space import (
    BadSpace,
    Choice,
    Integer,
    SearchSpace,
    Value,
    load_space,
    space_files,
    value_at,
)
from tests.tuning.conftest import small, space


def values_of(chosen: SearchSpace) -> st.SearchStrategy[dict[str, Value]]:
    drawn: dict[str, st.SearchStrategy[Any]] = {}
    for path, parameter in chosen.parameters.items():
        if isinstance(parameter, Choice):
            drawn[path] = st.sampled_from(sorted(parameter.choices))
        elif isinstance(parameter, Integer):
            drawn[path] = st.integers(parameter.low, parameter.high)
        else:
            drawn[path] = st.floats(parameter.low, parameter.high)
    return st.fixed_dictionaries(drawn)


def test_the_space_of_the_thesis_system_is_the_published_one() -> None:
    parameters = load_space("thesis").model_dump(exclude_defaults=True)["parameters"]
    assert parameters["training.batch_size"] == {"kind": "integer", "low": 32, "high": 256}
    assert parameters["network.generator_width"] == {"kind": "integer", "low": 64, "high": 256}
    assert parameters["training.optimizer.lr"] == {"kind": "number", "low": 1e-5, "high": 1e-2, "log": True}
    assert parameters["training.optimizer.beta1"] == {"kind": "number", "low": 0.0, "high": 0.9}
    assert parameters["training.optimizer.beta2"] == {"kind": "number", "low": 0.9, "high": 0.999}


@pytest.mark.parametrize("name", sorted(space_files()))
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_is_drawn_is_what_the_experiment_then_has(name: str, data: st.DataObject) -> None:
    chosen = load_space(name)
    drawn = data.draw(values_of(chosen))
    found = chosen.experiment(load_experiment("demo"), drawn, "trial")
    again = chosen.drawn(found)
    assert again == {path: pytest.approx(value) for path, value in drawn.items()}


@pytest.mark.parametrize("name", sorted(experiment_files()))
def test_the_values_of_an_experiment_change_nothing(name: str) -> None:
    experiment = load_experiment(name)
    for chosen in map(load_space, space_files()):
        assert chosen.experiment(experiment, chosen.drawn(experiment), "trial") == experiment


def test_values_that_do_not_fit_together_say_why() -> None:
    critic = {
        "kind": "choice",
        "choices": {"clip": {"kind": "wasserstein", "clip": 0.01}, "hinge": {"kind": "hinge"}},
    }
    with pytest.raises(BadExperiment, match="wasserstein needs a critic"):
        space(**{"training.loss": critic}).experiment(small(), {"training.loss": "clip"}, "trial 7")


def test_a_section_that_is_absent_comes_with_the_first_field_of_it() -> None:
    chosen = space(**{"training.augmentation.cutout": {"kind": "number", "low": 0, "high": 0.5}})
    found: Experiment = chosen.experiment(small(), {"training.augmentation.cutout": 0.25}, "trial")
    assert value_at(found.model_dump(), "training.augmentation.cutout") == 0.25
    assert chosen.drawn(small()) == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "training.bach_size: {kind: integer, low: 1, high: 2}",
            "line 2: .*bach_size.* is not a field; did you mean batch_size",
        ),
        ("dataset: {kind: choice, choices: [a, b]}", "line 2: .*begins with network or training"),
        ("training.minutes: {kind: number, low: 1, high: 2}", "line 2: .*set by the study"),
        ("training.validation.images: {kind: integer, low: 8, high: 9}", "line 2: .*set by the study"),
        (
            "training.loss.gama: {kind: number, low: 1, high: 2}",
            "line 2: .*'gama' is not a field; did you mean gamma",
        ),
        ("training.batch_size: {kind: integer, low: 9, high: 2}", "line 2: .*low 9 is not below high 2"),
        (
            "training.optimizer.lr: {kind: number, low: 0, high: 1, log: true}",
            "line 2: .*above 0 on a log scale",
        ),
        ("training.batch_size: {kind: choice, choices: [8]}", "line 2: .*choices"),
        ("training.batch_size: {kind: choice, choices: [8, 8]}", "line 2: .*two choices are the same"),
        (
            "training.batch_size: {kind: whole, low: 1, high: 2}",
            "line 2: .*'whole' is not a valid value",
        ),
    ],
)
def test_an_error_in_a_space_names_line_and_field(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(f"parameters:\n  {line}\n")
    with pytest.raises(BadSpace, match=message) as refused:
        load_space(path)
    assert "\n" not in str(refused.value)


def test_an_own_space_stands_beside_the_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text(
        "parameters:\n  training.batch_size: {kind: choice, choices: [8, 16]}\n"
    )
    monkeypatch.setenv("CHESTGAN_SPACES", str(tmp_path))
    assert {"mine", "modern", "thesis"} <= set(space_files())
    with pytest.raises(BadSpace, match="choose one of mine, modern, thesis"):
        load_space("nowhere")
