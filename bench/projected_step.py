"""A training step against a projected discriminator, against its bare forward and backward passes: processor time.

Bare are the passes that such a step cannot do without, of the same networks, batches and precision: the generator, the
discriminator of one batch of real and one of generated images with the gradient of its weights, and of the generated
ones once more with that of the generator; the heads in every few steps, as the experiment has it. What a step adds:
drawing slices and noise, augmentation, optimizers, the average of the weights, sums of losses. The two take turns on
one thread.
"""

from collections.abc import Callable
from itertools import count

import torch

from bench.ratio import Ratio
from bench.training_step import DEVICE
from bench.turns import one_thread, seconds_in_turns
from chestgan_core.config.experiment import load_experiment
from chestgan_core.networks.conditioning import NOTHING_KNOWN
from chestgan_core.networks.registry import part_weights, parts
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.conditions import NO_CONDITIONS
from chestgan_core.training.distributed import World
from chestgan_core.training.sampling import IndexSampler
from chestgan_core.training.step import step

EXPERIMENT = "lung-projected-64"
SLICES, TARGET = 512, 1.2
# Multiples of step_period, so that the heads judge as often in each round.
ROUNDS, STEPS = (15, 4) if DEVICE.type == "cpu" else (15, 48)


def measure(rounds: int = ROUNDS) -> list[Ratio]:
    """One row; about half a minute on one core."""
    with one_thread():
        return [_row(rounds)]


def _row(rounds: int) -> Ratio:
    seconds = seconds_in_turns([_several(_step()), _several(_bare())], rounds)
    ours, bare = (1000 * found / STEPS for found in seconds)
    experiment = load_experiment(EXPERIMENT)
    note = f"{EXPERIMENT}, batch {experiment.training.batch_size}, {DEVICE.type}"
    return Ratio("projected step / bare passes", ours, bare, "ms", TARGET, note, at_most=True)


def _several(run: Callable[[], None]) -> Callable[[], None]:
    """STEPS of them."""

    def runs() -> None:
        for _ in range(STEPS):
            run()

    return runs


def _state() -> tuple[TrainingState, torch.Tensor]:
    experiment = load_experiment(EXPERIMENT)
    random, size = torch.Generator().manual_seed(0), experiment.resolution
    images = (torch.rand(SLICES, 1, size, size, generator=random) * 2 - 1).to(DEVICE)
    state = TrainingState(experiment, DEVICE, IndexSampler(SLICES, None, DEVICE))
    return state, images.contiguous(memory_format=torch.channels_last)


def _step() -> Callable[[], None]:
    state, images = _state()
    return lambda: step(state, images, NO_CONDITIONS, World(), 0.0)


def _bare() -> Callable[[], None]:
    state, images = _state()
    generator, discriminator, loss = state.generator, state.discriminator, state.loss
    steps = count()
    plan = state.experiment.training
    real = images[: plan.batch_size].clone()
    z = torch.randn(plan.batch_size, state.experiment.network.latent_dim, device=DEVICE)
    autocast = torch.autocast(DEVICE.type, torch.bfloat16, enabled=state.bf16)

    def run() -> None:
        at = next(steps)
        weights = part_weights(discriminator, at)
        generator.zero_grad()
        discriminator.zero_grad()
        with autocast:
            fake = generator(z, NOTHING_KNOWN).float()
            both = parts(discriminator, torch.cat([real, fake.detach()]), batches=2, step=at)
        of_d = [
            weight * loss.discriminator(part[: len(part) // 2], part[len(part) // 2 :], state.random)
            for weight, part in zip(weights, both, strict=True)
        ]
        torch.stack(of_d).sum().backward()  # type: ignore[no-untyped-call]
        discriminator.requires_grad_(False)
        of_real: list[torch.Tensor] | list[None] = [None] * len(weights)
        with autocast:
            if loss.needs_real:
                with torch.no_grad():
                    of_real = parts(discriminator, real, step=at)
            of_fake = parts(discriminator, fake, step=at)
        of_g = [
            weight * loss.generator(a, b, state.random)
            for weight, a, b in zip(weights, of_real, of_fake, strict=True)
        ]
        torch.stack(of_g).sum().backward()  # type: ignore[no-untyped-call]
        discriminator.requires_grad_(True)

    return run
