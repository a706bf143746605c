"""Looks at a training: the best generator is kept, patience ends, a collapse stops it, kept generators are few."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.metrics.feature_extractors import open_extractor
from chestgan_core.training import step as step_module
from chestgan_core.training.checkpoint import STATE_FILE
from chestgan_core.training.generation import generate
from chestgan_core.training.loop import Watcher, train
from chestgan_core.training.records import thinned, thinning
from chestgan_core.training.schedule import Budget
from chestgan_core.training.validation import HeldOutJudge, TrainingCollapsed
from chestgan_core.training.weights import load_discriminator, load_generator
from tests.training.conftest import slices_of, small

CPU = torch.device("cpu")


def test_the_generator_of_the_best_look_is_kept(images: torch.Tensor, tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []
    kids = iter([0.5, 0.2, 0.4, 0.3, 0.9])

    def judge(pictures: torch.Tensor) -> float:
        seen.append(pictures)
        return next(kids)

    told = small(validation={"every_images": 8, "images": 16})
    outcome = train(told, slices_of(images), tmp_path, CPU, Budget(None, 40), judge)
    assert (outcome.best_kid, outcome.best_at) == (0.2, 16)
    assert torch.equal(generate(load_generator(tmp_path), range(16)), seen[1])
    # The training itself goes on from its last weights, and the discriminator beside the best generator is the last.
    state = torch.load(tmp_path / STATE_FILE, weights_only=True)
    assert state["images_seen"] == 40
    discriminator = load_discriminator(tmp_path)
    assert discriminator.images_seen == 40
    weights = discriminator.module.state_dict()
    assert weights.keys() == state["discriminator"].keys()
    assert all(torch.equal(tensor, state["discriminator"][name]) for name, tensor in weights.items())


def test_patience_ends_a_training_that_gets_no_better(images: torch.Tensor, tmp_path: Path) -> None:
    kids = iter([0.5, 0.2, *[0.3] * 100])
    told = small(validation={"every_images": 4, "images": 8, "patience": 3})
    outcome = train(told, slices_of(images), tmp_path, CPU, Budget(None, 400), lambda pictures: next(kids))
    assert outcome.images_seen == 20
    assert outcome.best_at == 8


def test_the_best_look_survives_an_interruption(images: torch.Tensor, tmp_path: Path) -> None:
    told = small(validation={"every_images": 8, "images": 8})
    kids = iter([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    train(told, slices_of(images), tmp_path, CPU, Budget(None, 16), lambda pictures: next(kids))
    outcome = train(told, slices_of(images), tmp_path, CPU, Budget(None, 40), lambda pictures: next(kids))
    assert outcome.best_at == 8


@pytest.mark.parametrize("budget", [Budget(None, 40), Budget(1.0, None)])
def test_looks_may_be_spread_evenly_over_a_budget_of_images_or_of_minutes(
    budget: Budget, images: torch.Tensor, tmp_path: Path
) -> None:
    told: list[dict[str, float]] = []
    seconds = iter(range(0, 10_000, 6))  # a step takes six
    train(
        small(validation={"every_images": 1, "images": 8}),
        slices_of(images),
        tmp_path,
        CPU,
        budget,
        lambda pictures: 0.5,
        Watcher(look=told.append),
        looks=5,
        clock=lambda: float(next(seconds)),
    )
    assert [look["images_seen"] for look in told] == [8, 16, 24, 32, 40]


def test_what_a_watcher_raises_at_a_look_ends_the_training(images: torch.Tensor, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def look(told: dict[str, float]) -> None:
        if told["images_seen"] == 16:
            raise Enough

    told = small(validation={"every_images": 8, "images": 8})
    with pytest.raises(Enough):
        train(
            told, slices_of(images), tmp_path, CPU, Budget(None, 40), lambda pictures: 0.5, Watcher(look=look)
        )
    assert not (tmp_path / "generator.safetensors").exists()


def test_a_judge_finds_held_out_slices_nearer_to_themselves_than_noise(images: torch.Tensor) -> None:
    judge = HeldOutJudge(open_extractor(), images, images=20, seed=0)
    assert judge(images) < 0.01
    assert judge(torch.randn(20, 1, 64, 64)) > judge(images) + 0.1


def test_a_generator_that_makes_one_image_from_all_seeds_stops_the_training(
    images: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = step_module._teach_generator

    def forgets(state: Any, *rest: Any) -> None:
        real(state, *rest)
        if state.images_seen > 20:
            with torch.no_grad():  # the noise has no influence any more
                for weight in state.generator.parameters():
                    weight.mul_(0)

    monkeypatch.setattr(step_module, "_teach_generator", forgets)
    told = small(ema_images=0, sample_every_images=4)
    with pytest.raises(TrainingCollapsed, match="one image from all seeds"):
        # A flat reference, so that random pictures count as a generator that has begun to differ.
        train(told, slices_of(images * 0.01), tmp_path, CPU, Budget(None, 400))


def test_rows_and_pictures_are_told_while_it_trains(images: torch.Tensor, tmp_path: Path) -> None:
    told: list[tuple[float | None, torch.Size]] = []
    watcher = Watcher(row=lambda row, pictures: told.append((row["images_seen"], pictures.shape)))
    train(small(), slices_of(images), tmp_path, CPU, Budget(None, 40), watcher=watcher)
    assert told == [(seen, torch.Size([16, 1, 64, 64])) for seen in (12, 24, 36)]


def test_generators_of_earlier_moments_are_kept_evenly_and_not_too_many(
    images: torch.Tensor, tmp_path: Path
) -> None:
    told = small(snapshots=3, sample_every_images=4)
    train(told, slices_of(images), tmp_path, CPU, Budget(None, 40))
    kept = sorted(path.name for path in tmp_path.glob("snapshot-*.safetensors"))
    assert kept == ["snapshot-0000000016.safetensors", "snapshot-0000000032.safetensors"]
    early, late = (generate(load_generator(tmp_path / name), range(4)) for name in kept)
    assert not torch.equal(early, late)


@given(count=st.integers(1, 300), most=st.integers(1, 20))
def test_thinning_leaves_at_most_so_many_and_always_the_same_ones(count: int, most: int) -> None:
    kept: dict[int, int] = {}
    for number in range(1, count + 1):
        if number % thinning(number, most) == 0:
            kept[number] = number
        kept = thinned(kept, number, most)
        assert len(kept) <= most
    every = thinning(count, most)
    assert list(kept) == list(range(every, count + 1, every))
