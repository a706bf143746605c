"""Every network with a loss that fits it: it learns something, and an interruption changes nothing."""

import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.training.checkpoint import CHECKPOINT_FILE
from chestgan_core.training.loop import TrainingCallbacks, train
from chestgan_core.training.schedule import Budget
from tests.training.conftest import slices_of
from tests.training.test_loop import assert_same, weights

CPU = torch.device("cpu")
PENALTY = {"kind": "relativistic", "gamma": [0.5, 0.1], "penalty_every": 2}
SCHEDULE = {"lr": 1e-3, "final_lr": 1e-4, "beta1": 0.0, "beta2": 0.9, "final_beta2": 0.99}
RECIPES: dict[str, dict[str, Any]] = {
    "vanilla": {"network": {"family": "vanilla"}},
    "thesis": {
        "network": {"family": "dcgan"},
        "loss": {
            "kind": "cross-entropy", "real_targets": [0.85, 1.0], "fake_targets": [0.0, 0.15],
            "smoothed_generator": True, "update_above": 0.1,
        },
    },
    "wgan": {
        "network": {"family": "wgan"},
        "loss": {"kind": "wasserstein", "clip": 0.01},
        "optimizer": {"kind": "rmsprop", "lr": 5e-4},
        "critic_steps": 3,
    },
    "wgan-gp": {"network": {"family": "wgan"}, "loss": {"kind": "wasserstein", "gradient_penalty": 10}},
    "hinge": {"network": {"family": "spectral"}, "loss": {"kind": "hinge"}, "augmentation": {}},
    "projected": {
        "network": {"family": "projected", "projection": {"stages": [1, 2], "maps": 8}},
        "loss": {"kind": "hinge"}, "augmentation": {},
    },
    "projected-every-third-step": {
        "network": {"family": "projected", "projection": {"stages": [1, 2], "maps": 8, "heads_every": 3}},
        "loss": {"kind": "relativistic", "gamma": [0, 0]},
    },
    "resized": {
        "network": {
            "family": "spectral",
            "generator": {
                "upsampling": "resize", "modulation": True, "excitation": True, "noise": True, "output": "linear"
            },
        },
        "loss": {"kind": "hinge"},
    },
    "default": {
        "network": {"family": "spectral"}, "loss": {"kind": "relativistic", "gamma": [0, 0]}, "augmentation": {},
        "precision": "bf16",
    },
    "r3": {
        "network": {"family": "r3"}, "loss": PENALTY, "augmentation": {"probability": 0.5}, "optimizer": SCHEDULE,
    },
}  # fmt: skip
STEPS = {
    "thesis": 220,
    "wgan": 300,
    "r3": 150,
    "projected": 200,
    "projected-every-third-step": 200,
}  # of those that take more than 100 to come near


def experiment(name: str, **training: Any) -> Experiment:
    recipe = dict(RECIPES[name])
    network = {"latent_dim": 8, "generator_width": 4, "discriminator_width": 8, **recipe.pop("network")}
    fields: dict[str, Any] = {
        "dataset": "phantom",
        "resolution": 16,
        "network": network,
        "training": {
            "batch_size": 8,
            "images": 120,
            "checkpoint_every_images": 40,
            "sample_every_images": 40,
            "precision": "fp32",
            **recipe,
            **training,
        },
    }
    return parse_experiment(fields, name, "test")


@pytest.fixture
def discs() -> torch.Tensor:
    """(40, 1, 16, 16) in [-1, 1]: discs of growing radius."""
    axis = torch.linspace(-1, 1, 16)
    radius = (axis[:, None] ** 2 + axis**2).sqrt()
    return torch.stack([torch.where(radius < 0.2 + 0.015 * k, 0.8, -1.0) for k in range(40)])[:, None]


def run(config: Experiment, images: torch.Tensor, out: Path, count: int = 120, **more: Any) -> str:
    return train(config, slices_of(images), out, CPU, Budget(None, count), **more).sha256


class Stopped(Exception):
    pass


@pytest.mark.parametrize("name", RECIPES)
def test_interrupted_and_resumed_is_the_same_as_uninterrupted_for_every_recipe(
    name: str, discs: torch.Tensor, tmp_path: Path
) -> None:
    config = experiment(name)
    whole = run(config, discs, tmp_path / "whole")

    def stop(*_: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        # As a node that is drained does it; the plan stays that of the whole training.
        callbacks = TrainingCallbacks(on_checkpoint=lambda path: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(Stopped):
            run(config, discs, tmp_path / "parts", callbacks=callbacks)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert weights(tmp_path / "parts")["images_seen"] < 120
    assert run(config, discs, tmp_path / "parts") == whole
    assert_same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


@pytest.mark.parametrize("name", RECIPES)
def test_some_hundred_steps_bring_the_images_nearer_to_the_training_images(
    name: str, discs: torch.Tensor, tmp_path: Path
) -> None:
    # The loss of a discriminator may rise while both learn (its opponent improves), so the images are measured: their
    # mean grey level approaches that of the discs; it starts at random noise around 0.
    count = 8 * STEPS.get(name, 100)
    quick = {**RECIPES[name].get("optimizer", {}), "lr": 3e-3}
    config = experiment(
        name, ema_images=0, sample_every_images=count // 6, checkpoint_every_images=100_000, optimizer=quick
    )
    samples: list[torch.Tensor] = []
    callbacks = TrainingCallbacks(on_row=lambda row, images: samples.append(images))
    run(config, discs, tmp_path, count, callbacks=callbacks)
    target = discs.mean(dim=0)
    first, last = ((images.mean(dim=0) - target).abs().mean() for images in (samples[0], samples[-1]))
    assert last < 0.35
    assert last < 0.75 * first
    rows = pq.read_table(tmp_path / "history.parquet").to_pylist()
    assert all(torch.isfinite(torch.tensor(row["loss_d"] + row["loss_g"])) for row in rows)


def test_clipped_weights_stay_within_their_bound(discs: torch.Tensor, tmp_path: Path) -> None:
    run(experiment("wgan"), discs, tmp_path)
    state = torch.load(tmp_path / CHECKPOINT_FILE, weights_only=True)
    assert max(weight.abs().max() for weight in state["discriminator"].values()) <= 0.01 + 1e-7


def test_update_above_skips_the_steps_of_a_discriminator_that_is_sure(
    discs: torch.Tensor, tmp_path: Path
) -> None:
    never = {"kind": "cross-entropy", "update_above": 1e9}
    out = tmp_path / "never"
    run(experiment("thesis", loss=never), discs, out)
    from chestgan_core.networks.registry import build_discriminator

    start = dict(build_discriminator(experiment("thesis", loss=never)).named_parameters())
    trained = torch.load(out / CHECKPOINT_FILE, weights_only=True)["discriminator"]
    assert all(torch.equal(trained[name], weight) for name, weight in start.items())


def test_rates_fall_along_the_plan(discs: torch.Tensor, tmp_path: Path) -> None:
    run(experiment("r3"), discs, tmp_path)
    optimizer = torch.load(tmp_path / CHECKPOINT_FILE, weights_only=True)["optimizer_g"]["param_groups"][0]
    assert 1e-4 <= optimizer["lr"] < 1.2e-4
    assert 0.98 < optimizer["betas"][1] <= 0.99


def test_gradients_are_clipped_at_max_grad_norm(discs: torch.Tensor, tmp_path: Path) -> None:
    assert run(experiment("default", max_grad_norm=1e-6), discs, tmp_path / "a") != run(
        experiment("default"), discs, tmp_path / "b"
    )


def test_bfloat16_trains_as_well(discs: torch.Tensor, tmp_path: Path) -> None:
    # The penalties of r3 stay in float32, and nothing overflows.
    for name in ("hinge", "r3", "wgan-gp"):
        run(experiment(name, precision="bf16"), discs, tmp_path / name)
        rows = pq.read_table(tmp_path / name / "history.parquet").to_pylist()
        assert all(abs(row["loss_d"]) < 1e4 for row in rows)


@pytest.mark.parametrize(
    ("precision", "capabilities", "used"),
    [
        ("auto", {"avx512_bf16": True}, "bf16"),
        ("auto", {"amx_bf16": True}, "bf16"),
        ("auto", {"avx2": True}, "fp32"),
        ("fp32", {"avx512_bf16": True}, "fp32"),
        ("bf16", {}, "bf16"),
    ],
)
def test_bfloat16_is_used_where_the_cpu_multiplies_it(
    precision: str, capabilities: dict[str, bool], used: str, discs: torch.Tensor, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    config = experiment("vanilla", precision=precision)
    assert train(config, slices_of(discs), tmp_path, CPU, Budget(None, 16)).precision == used


def test_classes_are_learned_and_generated_in_turn(discs: torch.Tensor, tmp_path: Path) -> None:
    config = experiment(
        "hinge",
        ema_images=0,
        sample_every_images=1000,
        checkpoint_every_images=100_000,
        optimizer={"lr": 2e-3},
    )
    config = config.model_copy(update={"classes": ("A", "B")})
    dark, bright = torch.full((20, 1, 16, 16), -0.8), torch.full((20, 1, 16, 16), 0.8)
    labels = torch.tensor([0] * 20 + [1] * 20)
    samples: list[torch.Tensor] = []
    callbacks = TrainingCallbacks(on_row=lambda row, images: samples.append(images))
    slices = slices_of(torch.cat([dark, bright]), labels)
    train(config, slices, tmp_path, CPU, Budget(None, 2000), callbacks=callbacks)
    a, b = samples[-1][0::2].mean(), samples[-1][1::2].mean()
    assert a < b - 0.5
