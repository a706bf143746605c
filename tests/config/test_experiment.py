"""Experiments are refused where they are wrong, and named by what decides the weights."""

from pathlib import Path

import pytest

from chestgan_core.config.experiment import NOT_IN_WEIGHTS, Experiment, load_experiment, resume_fields
from chestgan_core.config.names import dataset_files, experiment_files
from chestgan_core.config.training_plan import FREE_ON_RESUME, TrainingPlan
from chestgan_core.errors import BadExperiment

GOOD = "dataset: phantom\ntraining: {images: 100}\n"


@pytest.mark.parametrize("name", sorted(experiment_files()))
def test_every_shipped_experiment_is_valid_and_names_a_known_dataset(name: str) -> None:
    experiment = load_experiment(name)
    assert experiment.name == name
    assert experiment.dataset in dataset_files()
    assert experiment.description


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "resolution: 65\n", "line 3: resolution"),
        (GOOD + "widow: lung\n", "line 3: widow"),
        (GOOD + "network:\n\n  generator_width: 0\n", "line 5: network.generator_width"),
        (GOOD + "training: {images: 200}\n", "line 3: training is a duplicate of line 2"),
        (GOOD + "window: &again [*again]\n", r"line 3: \*again stands for nothing"),
        (GOOD + "window: {centre: -600, width: -1}\n", "width"),
        ("dataset: phantom\ntraining: {}\n", "line 2: training: .*give a budget"),
        ("dataset: phantom\ntraining: {images: nan}\n", "training.images"),
        ("dataset: [phantom\n", "line"),
        ("- a list\n", "holds no fields"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(BadExperiment, match=said) as refused:
        load_experiment(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadExperiment, match="demo"):
        load_experiment("no-such-experiment")


def test_own_experiments_stand_beside_the_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    monkeypatch.setenv("CHESTGAN_EXPERIMENTS", str(tmp_path))
    assert {"mine", "demo"} <= set(experiment_files())
    assert load_experiment("mine").training.images == 100


def test_the_fingerprint_changes_with_what_decides_the_weights_and_with_nothing_else(tmp_path: Path) -> None:
    def fingerprint(text: str, name: str = "one") -> str:
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        return load_experiment(path).fingerprint()

    same = fingerprint(GOOD)
    assert fingerprint(GOOD + "description: other words\n", "two") == same
    assert fingerprint(GOOD + "publication: {images: 7}\n") == same
    assert fingerprint(GOOD + "seed: 1\n") != same
    assert fingerprint(GOOD + "window: wide\n") != same
    assert fingerprint(GOOD.replace("100", "101")) != same


def test_each_field_either_decides_the_weights_or_decides_nothing() -> None:
    decides = {
        "dataset",
        "resolution",
        "window",
        "seed",
        "classes",
        "conditions",
        "min_patients_per_class",
        "network",
        "training",
    }
    assert not decides & NOT_IN_WEIGHTS
    assert decides | NOT_IN_WEIGHTS == set(Experiment.model_fields)
    # Minutes and images decide when a training ends, so they are in its name; a checkpoint may be resumed with others.
    learned = {
        "loss", "augmentation", "optimizer", "sampling", "validation", "batch_size", "critic_steps", "max_grad_norm",
        "instance_noise", "instance_noise_half_life", "ema_images", "precision",
    }  # fmt: skip
    assert not learned & FREE_ON_RESUME
    assert learned | FREE_ON_RESUME == set(TrainingPlan.model_fields)


def test_a_checkpoint_is_bound_by_what_is_learned() -> None:
    fields = resume_fields(load_experiment("thesis-wgan").model_dump(mode="json"))
    assert {name.partition(".")[0] for name in fields} == set(Experiment.model_fields) - NOT_IN_WEIGHTS
    assert fields["training.optimizer.kind"] == "rmsprop"
    assert "training.images" not in fields


def test_an_optimizer_that_cannot_skip_a_step_is_refused_with_update_above(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    loss = "loss: {kind: cross-entropy, update_above: 0.1}"
    path.write_text(f"dataset: phantom\ntraining: {{images: 1, optimizer: {{kind: rmsprop}}, {loss}}}\n")
    with pytest.raises(
        BadExperiment, match=r"line 2: training: .*rmsprop cannot; set optimizer\.kind to adam"
    ):
        load_experiment(path)
    path.write_text(f"dataset: phantom\ntraining: {{images: 1, {loss}}}\n")
    assert load_experiment(path).training.optimizer.kind == "adam"


def test_an_experiment_of_an_unknown_dataset_or_extractor_is_refused_before_it_costs_anything(
    tmp_path: Path,
) -> None:
    path = tmp_path / "wrong.yaml"
    for text, said in [
        ("dataset: nowhere\ntraining: {images: 1}\n", "choose one of"),
        ("dataset: phantm\ntraining: {images: 1}\n", "'phantm' is not known, did you mean phantom"),
        (
            GOOD + "window: {center: 0, width: 100}\n",
            "CustomWindow.center: is not a field here, did you mean cent",
        ),
        (GOOD.replace("images", "qqq"), "training.qqq: is not a field here, choose one of"),
        (GOOD + "evaluation: {extractor: eficientnet}\n", "evaluation.extractor"),
        (GOOD + "name: other\n", "leave the name out"),
        ("dataset: phantom\ntraining: {minutes: .inf}\n", "line 2: .inf is not finite"),
        (GOOD + "window: {centre: .nan, width: 100}\n", "line 3: .nan is not finite"),
    ]:
        path.write_text(text)
        with pytest.raises(BadExperiment, match=said):
            load_experiment(path)


def test_a_folder_of_own_experiments_that_is_not_a_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_EXPERIMENTS", "/no/such/folder")
    with pytest.raises(BadExperiment, match="is not a folder"):
        experiment_files()
