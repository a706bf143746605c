"""Experiments without conditions train to the same bits as before there were conditions.

The digests in weights_before_conditions.json were recorded with the code of that time: of each shipped experiment, some
steps at 32 pixels. They hold for one version of PyTorch on CPUs with the same instructions; elsewhere the sums of the
weights must agree to six digits, which another order of random numbers or another layer does not survive. So must those
of experiments with a gradient penalty, whose convolutions are differentiated in another way since: bits are compared
with PyTorch's own way.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from chestgan_core.config.experiment import Experiment, load_experiment, parse_experiment
from chestgan_core.config.names import SHIPPED_EXPERIMENTS
from chestgan_core.training import losses, step
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.loop import train
from chestgan_core.training.schedule import Budget
from chestgan_core.training.weights import DISCRIMINATOR_FILE, load_discriminator, load_generator

RECORDED = Path(__file__).with_name("weights_before_conditions.json")
BATCH, STEPS = 4, 3


def small(name: str) -> Experiment:
    """The experiment at 32 pixels, with a few images a step, without what follows training."""
    fields = load_experiment(name).model_dump(mode="json")
    fields |= {"resolution": 32, "min_patients_per_class": 1}
    fields["training"] |= {
        "batch_size": BATCH, "validation": None, "snapshots": 0, "precision": "fp32", "epochs": None,
        "images": BATCH * STEPS * fields["training"]["critic_steps"], "minutes": None,
    }  # fmt: skip
    del fields["name"]
    return parse_experiment(fields, name, name)


def weights_of(name: str, out: Path) -> dict[str, Any]:
    """Digest and sum of the trained networks, in the order of the names of their weights."""
    experiment = small(name)
    random = torch.Generator().manual_seed(7)
    images = torch.rand(12, 1, 32, 32, generator=random) * 2 - 1
    classes = torch.arange(12) % len(experiment.classes) if experiment.classes else None
    slices = LoadedSlices(images, classes, tuple("abcdefghijkl"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        budget = Budget(minutes=None, images=experiment.training.images)
        train(experiment, slices, out, torch.device("cpu"), budget, pictures=False)
    finally:
        torch.set_num_threads(threads)
    digest, total = hashlib.sha256(), 0.0
    for network in (load_generator(out).module, load_discriminator(out / DISCRIMINATOR_FILE).module):
        for key, tensor in sorted(network.state_dict().items()):
            digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
            total += float(tensor.double().abs().sum())
    return {"sha256": digest.hexdigest(), "sum": total}


def machine() -> dict[str, str]:
    """What decides the last bits besides the code: oneDNN chooses kernels by all instructions that a CPU has."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    flags = next((sorted(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), [])
    return {"torch": torch.__version__, "cpu": hashlib.sha256(" ".join(flags).encode()).hexdigest()[:16]}


@contextmanager
def convolutions_of_pytorch() -> Iterator[None]:
    """Gradients are differentiated as they were at that time."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (step, losses):
            patch.setattr(module, "TwiceDifferentiable", nullcontext)
        yield


@pytest.mark.parametrize("name", sorted(json.loads(RECORDED.read_text())["weights"]))
def test_an_experiment_without_conditions_trains_to_the_same_bits_as_before(
    name: str, tmp_path: Path
) -> None:
    recorded = json.loads(RECORDED.read_text())
    found = weights_of(name, tmp_path / "now")
    assert found["sum"] == pytest.approx(recorded["weights"][name]["sum"], rel=1e-6)
    if machine() == recorded["machine"]:
        with convolutions_of_pytorch():
            found = weights_of(name, tmp_path / "then")
        assert found["sha256"] == recorded["weights"][name]["sha256"]


if __name__ == "__main__":
    import tempfile

    names = sorted(path.stem for path in SHIPPED_EXPERIMENTS.glob("*.yaml"))
    weights = {}
    for one in names:
        with tempfile.TemporaryDirectory() as folder, convolutions_of_pytorch():
            weights[one] = weights_of(one, Path(folder))
    RECORDED.write_text(json.dumps({"machine": machine(), "weights": weights}, indent=1) + "\n")
