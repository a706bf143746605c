"""The training step against the plain public DCGAN loop: images per second, interleaved on one machine.

The plain loop is what tutorials and the thesis system do: a data loader, sigmoid and BCELoss, new label tensors and
losses read back to Python in each step, NCHW, Adam with its defaults. All rows measure it on the networks of the
thesis system (latent 100, widths 64 and 128, batch 128), with the number of workers that is fastest.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from bench.ratio import Ratio
from chestgan_core.config.conditions import Conditions
from chestgan_core.config.experiment import Experiment, load_experiment, parse_experiment
from chestgan_core.networks.registry import build_discriminator, build_generator
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.conditions import NO_CONDITIONS
from chestgan_core.training.devices import computes_bfloat16
from chestgan_core.training.distributed import World
from chestgan_core.training.sampling import IndexSampler
from chestgan_core.training.step import step

SLICES, ROUNDS = 512, 7
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# Large enough for a GPU's clock, small enough for a laptop: images in each timed stretch.
STRETCH = 128 if DEVICE.type == "cpu" else 25_600


def measure() -> list[Ratio]:
    """The rows of the training step; about two minutes on two cores."""
    images = torch.rand(SLICES, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    thesis, default = _thesis(), without_conditions(load_experiment("demo"))
    runs = {
        "no worker": _plain(thesis, images, workers=0),
        "2 workers": _plain(thesis, images, workers=2),
        "thesis": _ours(thesis, images),
        "thesis, float32": _ours(_with_precision(thesis, "fp32"), images),
        "default": _ours(default, images),
    }
    batches = {name: (default if name == "default" else thesis).training.batch_size for name in runs}
    rates = _interleaved(runs, batches)
    plain, workers = max((rates[name], name) for name in ("no worker", "2 workers"))
    note = f"plain loop with {workers}, {torch.get_num_threads()} threads, {DEVICE.type}"
    network = default.network
    widths = f"widths {network.generator_width} and {network.discriminator_width}"
    # Where bfloat16 is not used, both rows of the networks of the thesis system are the same measurement.
    target = {"cpu": 1.5, "cuda": 5.0}[DEVICE.type] if computes_bfloat16(DEVICE) else 1.0
    precision = "bfloat16" if computes_bfloat16(DEVICE) else "float32"
    return [
        Ratio(
            f"training step, networks of the thesis system, {precision}",
            rates["thesis"],
            plain,
            "images/s",
            target,
            note,
        ),
        Ratio(
            "the same in float32, as the plain loop", rates["thesis, float32"], plain, "images/s", 1.0, note
        ),
        Ratio(
            f"training step, {default.name} ({widths}, batch {default.training.batch_size})",
            rates["default"],
            plain,
            "images/s",
            2.0,
            note,
        ),
    ]


def without_conditions(experiment: Experiment) -> Experiment:
    """The same networks, told nothing."""
    return experiment.model_copy(update={"conditions": Conditions(), "classes": ()})


def _thesis() -> Experiment:
    network = {"latent_dim": 100, "generator_width": 64, "discriminator_width": 128}
    optimizer = {"lr": 1e-4, "beta1": 0.7}
    training = {"batch_size": 128, "optimizer": optimizer, "images": 1, "ema_images": 2000}
    fields: dict[str, object] = {"dataset": "phantom", "network": network, "training": training}
    return parse_experiment(fields, "thesis", "bench")


def _with_precision(experiment: Experiment, precision: str) -> Experiment:
    plan = experiment.training.model_copy(update={"precision": precision})
    return experiment.model_copy(update={"training": plan})


def _interleaved(runs: dict[str, Callable[[], None]], batches: dict[str, int]) -> dict[str, float]:
    """Images per second: the median of ROUNDS stretches, taken in turns so that a busy machine slows all."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():  # kernels are chosen and memory is taken in the first step
        run()
    for name, run in chain.from_iterable(repeat(list(runs.items()), ROUNDS)):
        steps = STRETCH // batches[name]
        _wait()
        started = time.perf_counter()
        for _ in range(steps):
            run()
        _wait()
        rates[name].append(steps * batches[name] / (time.perf_counter() - started))
    return {name: statistics.median(found) for name, found in rates.items()}


def _wait() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def _ours(experiment: Experiment, images: Tensor) -> Callable[[], None]:
    state = TrainingState(experiment, DEVICE, IndexSampler(len(images), None, DEVICE))
    images = images.to(DEVICE)
    return lambda: step(state, images, NO_CONDITIONS, World(), 0.0)


def _plain(experiment: Experiment, images: Tensor, workers: int) -> Callable[[], None]:
    plan = experiment.training
    generator = build_generator(experiment).to(DEVICE)
    discriminator = nn.Sequential(build_discriminator(experiment), nn.Sigmoid()).to(DEVICE)
    adam_g, adam_d = (
        torch.optim.Adam(
            network.parameters(), lr=plan.optimizer.lr, betas=(plan.optimizer.beta1, plan.optimizer.beta2)
        )
        for network in (generator, discriminator)
    )
    loss = nn.BCELoss()
    loader = DataLoader(
        TensorDataset(images),
        batch_size=plan.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )

    def batches() -> Iterator[Tensor]:
        while True:
            for (batch,) in loader:
                yield batch.to(DEVICE)

    stream = batches()

    def one_step() -> None:
        real = next(stream)
        ones = torch.full((len(real),), 1.0, device=DEVICE)
        zeros = torch.full((len(real),), 0.0, device=DEVICE)
        discriminator.zero_grad()
        on_real = discriminator(real)
        loss_real = loss(on_real, ones)
        loss_real.backward()
        fake = generator(torch.randn(len(real), experiment.network.latent_dim, device=DEVICE))
        on_fake = discriminator(fake.detach())
        loss_fake = loss(on_fake, zeros)
        loss_fake.backward()
        adam_d.step()
        generator.zero_grad()
        on_updated = discriminator(fake)
        loss_g = loss(on_updated, ones)
        loss_g.backward()
        adam_g.step()
        _ = (loss_real + loss_fake).item(), loss_g.item(), on_real.mean().item(), on_updated.mean().item()

    return one_step
