"""Validation: the best generator is kept, patience ends a training, a collapse stops it, snapshots are few."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.metrics.feature_extractors import open_extractor
from chestgan_core.training import step as step_module
from chestgan_core.training.checkpoint import CHECKPOINT_FILE
from chestgan_core.training.generation import generate
from chestgan_core.training.loop import TrainingCallbacks, train
from chestgan_core.training.records import thinned, thinning
from chestgan_core.training.schedule import Budget
from chestgan_core.training.validation import TrainingCollapsed, Validator
from chestgan_core.training.weights import load_discriminator, load_generator
from tests.training.conftest import slices_of, small

CPU = torch.device("cpu")


def test_the_generator_of_the_best_validation_is_kept(images: torch.Tensor, tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []
    kids = iter([0.5, 0.2, 0.4, 0.3, 0.9])

    def scorer(images: torch.Tensor) -> float:
        seen.append(images)
        return next(kids)

    experiment = small(validation={"every_images": 8, "images": 16})
    outcome = train(experiment, slices_of(images), tmp_path, CPU, Budget(None, 40), scorer)
    assert (outcome.best_kid, outcome.best_at) == (0.2, 16)
    assert torch.equal(generate(load_generator(tmp_path), range(16)), seen[1])
    # The training itself continues from its last weights, and the discriminator that is kept has its last weights.
    state = torch.load(tmp_path / CHECKPOINT_FILE, weights_only=True)
    assert state["images_seen"] == 40
    discriminator = load_discriminator(tmp_path)
    assert discriminator.images_seen == 40
    weights = discriminator.module.state_dict()
    assert weights.keys() == state["discriminator"].keys()
    assert all(torch.equal(tensor, state["discriminator"][name]) for name, tensor in weights.items())


def test_patience_ends_a_training_that_no_longer_improves(images: torch.Tensor, tmp_path: Path) -> None:
    kids = iter([0.5, 0.2, *[0.3] * 100])
    experiment = small(validation={"every_images": 4, "images": 8, "patience": 3})
    outcome = train(
        experiment, slices_of(images), tmp_path, CPU, Budget(None, 400), lambda images: next(kids)
    )
    assert outcome.images_seen == 20
    assert outcome.best_at == 8


def test_the_best_validation_survives_an_interruption(images: torch.Tensor, tmp_path: Path) -> None:
    experiment = small(validation={"every_images": 8, "images": 8})
    kids = iter([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    train(experiment, slices_of(images), tmp_path, CPU, Budget(None, 16), lambda images: next(kids))
    outcome = train(experiment, slices_of(images), tmp_path, CPU, Budget(None, 40), lambda images: next(kids))
    assert outcome.best_at == 8


@pytest.mark.parametrize("budget", [Budget(None, 40), Budget(1.0, None)])
def test_validations_may_be_spread_evenly_over_a_budget_of_images_or_of_minutes(
    budget: Budget, images: torch.Tensor, tmp_path: Path
) -> None:
    validations: list[dict[str, float]] = []
    seconds = iter(range(0, 10_000, 6))  # a step takes six
    train(
        small(validation={"every_images": 1, "images": 8}),
        slices_of(images),
        tmp_path,
        CPU,
        budget,
        lambda images: 0.5,
        TrainingCallbacks(on_validation=validations.append),
        validations=5,
        clock=lambda: float(next(seconds)),
    )
    assert [row["images_seen"] for row in validations] == [8, 16, 24, 32, 40]


def test_what_a_callback_raises_ends_the_training(images: torch.Tensor, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def on_validation(validation: dict[str, float]) -> None:
        if validation["images_seen"] == 16:
            raise Enough

    experiment = small(validation={"every_images": 8, "images": 8})
    with pytest.raises(Enough):
        train(
            experiment,
            slices_of(images),
            tmp_path,
            CPU,
            Budget(None, 40),
            lambda images: 0.5,
            TrainingCallbacks(on_validation=on_validation),
        )
    assert not (tmp_path / "generator.safetensors").exists()


def test_held_out_slices_score_better_against_themselves_than_noise_does(images: torch.Tensor) -> None:
    validator = Validator(open_extractor(), images, images=20, seed=0)
    assert validator(images) < 0.01
    assert validator(torch.randn(20, 1, 16, 16)) > validator(images) + 0.1


def test_a_generator_that_makes_one_image_from_all_seeds_stops_the_training(
    images: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = step_module._train_generator

    def forgets(state: Any, *rest: Any) -> None:
        real(state, *rest)
        if state.images_seen > 20:
            with torch.no_grad():  # the noise has no influence any more
                for weight in state.generator.parameters():
                    weight.mul_(0)

    monkeypatch.setattr(step_module, "_train_generator", forgets)
    experiment = small(ema_images=0, sample_every_images=4)
    with pytest.raises(TrainingCollapsed, match="one image from all seeds"):
        # A flat reference, so that random pictures count as a generator that has begun to differ.
        train(experiment, slices_of(images * 0.01), tmp_path, CPU, Budget(None, 400))


def test_each_row_is_reported_with_its_images_while_the_training_runs(
    images: torch.Tensor, tmp_path: Path
) -> None:
    reported: list[tuple[float | None, torch.Size]] = []
    callbacks = TrainingCallbacks(
        on_row=lambda row, images: reported.append((row["images_seen"], images.shape))
    )
    train(small(), slices_of(images), tmp_path, CPU, Budget(None, 40), callbacks=callbacks)
    assert reported == [(seen, torch.Size([16, 1, 16, 16])) for seen in (12, 24, 36)]


def test_progress_is_reported_by_time_however_few_images_that_is(
    images: torch.Tensor, tmp_path: Path
) -> None:
    reported: list[dict[str, float]] = []
    seconds = iter(range(0, 10_000, 6))  # a step of 4 images takes six
    callbacks = TrainingCallbacks(on_progress=reported.append)
    experiment = small(sample_every_images=1_000)
    train(
        experiment,
        slices_of(images),
        tmp_path,
        CPU,
        Budget(None, 40),
        callbacks=callbacks,
        clock=lambda: float(next(seconds)),
    )
    assert [row["images_seen"] for row in reported] == [8, 16, 24, 32, 40]
    assert [row["fraction"] for row in reported] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert all(row["images_per_second"] == pytest.approx(8 / 12) for row in reported)
    assert all(math.isfinite(row["loss_d"]) and math.isfinite(row["loss_g"]) for row in reported)


def test_snapshots_are_evenly_spaced_and_not_too_many(images: torch.Tensor, tmp_path: Path) -> None:
    experiment = small(snapshots=3, sample_every_images=4)
    train(experiment, slices_of(images), tmp_path, CPU, Budget(None, 40))
    kept = sorted(path.name for path in tmp_path.glob("snapshot-*.safetensors"))
    assert kept == ["snapshot-0000000016.safetensors", "snapshot-0000000032.safetensors"]
    early, late = (generate(load_generator(tmp_path / name), range(4)) for name in kept)
    assert not torch.equal(early, late)


@given(count=st.integers(1, 300), limit=st.integers(1, 20))
def test_thinning_leaves_at_most_so_many_and_always_the_same_ones(count: int, limit: int) -> None:
    kept: dict[int, int] = {}
    for number in range(1, count + 1):
        if number % thinning(number, limit) == 0:
            kept[number] = number
        kept = thinned(kept, number, limit)
        assert len(kept) <= limit
    every = thinning(count, limit)
    assert list(kept) == list(range(every, count + 1, every))
