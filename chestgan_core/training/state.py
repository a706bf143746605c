"""Everything that changes while training, and its file: what it takes to go on as if never interrupted.

In and out: `training-state.pt`, written by torch.save under a temporary name, read with weights_only=True. It
names the experiment and the images that it belongs to, and is not accepted for others.
"""

import copy
import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from chestgan_core.atomic import replacing
from chestgan_core.errors import BadCheckpoint
from chestgan_core.experiment import Experiment
from chestgan_core.networks.registry import build_discriminator, build_generator

STATE_FILE = "training-state.pt"
# Fields that may change between two attempts: they decide when to stop and what to show, not what is learned.
FREE_FIELDS: dict[str, Any] = {
    "name": True,
    "description": True,
    "evaluation": True,
    "publication": True,
    "training": {"minutes", "images", "checkpoint_images", "sample_images"},
}
ELSEWHERE = "give another folder, or delete the file to train from the start"


class TrainingState:
    """Networks, optimizers, random numbers and counters, on one device.

    images_seen: real images shown to the discriminator. seconds: of all attempts. history: one row a tick.
    totals (4,): sums of loss_d, loss_g, D(x), D(G(z)) over the `steps` since the last row; read once a row,
    because reading makes the processor wait for the GPU. rows: pictures by number of the row.
    """

    def __init__(self, experiment: Experiment, device: torch.device) -> None:
        told = experiment.training
        # Channels last: measured 1.1 to 1.2 times faster on CPU, and what CUDA's tensor cores want.
        self.generator = _placed(build_generator(experiment), device)
        self.discriminator = _placed(build_discriminator(experiment), device)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        betas = (told.beta1, told.beta2)
        self.optimizer_g = Adam(self.generator.parameters(), told.learning_rate, betas, fused=True)
        self.optimizer_d = Adam(self.discriminator.parameters(), told.learning_rate, betas, fused=True)
        self.random = torch.Generator(device).manual_seed(experiment.seed)
        self.images_seen, self.seconds, self.steps = 0, 0.0, 0
        self.totals = torch.zeros(4, device=device)
        self.history: list[dict[str, float]] = []
        self.rows: dict[int, Tensor] = {}
        self.experiment, self.device = experiment, device

    def finite(self) -> bool:
        """Whether losses and weights are numbers; makes the processor wait for the GPU."""
        sums = [self.totals.sum()]
        for network in (self.generator, self.discriminator, self.average):
            sums += [weight.detach().sum() for weight in network.parameters()]
        return bool(torch.stack(sums).isfinite().all())

    def save(self, path: Path, data: str) -> None:
        """Write the state; data: fingerprint of the training images."""
        with replacing(path) as temporary:
            torch.save(
                {
                    "experiment": self.experiment.model_dump_json(),
                    "data": data,
                    "device": self.device.type,
                    "random": self.random.get_state(),
                    **{name: getattr(self, name).state_dict() for name in _STATE_DICTS},
                    **{name: getattr(self, name) for name in _VALUES},
                },
                temporary,
            )

    def restore(self, path: Path, data: str) -> None:
        """Go on from a file of `save`, exactly so on the same type of device.

        Raises BadCheckpoint: cut short, no training state, another experiment (names the fields) or images.
        """
        told = _read(path)
        theirs, ours = json.loads(told["experiment"]), self.experiment.model_dump(mode="json")
        changed = [
            f"{field} {_leaves(theirs).get(field)} instead of {value}"
            for field, value in _leaves(ours).items()
            if _leaves(theirs).get(field) != value
        ]
        if changed:
            raise BadCheckpoint(path, f"belongs to another experiment: {', '.join(changed)}", ELSEWHERE)
        if told["data"] != data:
            raise BadCheckpoint(path, "belongs to other training images", ELSEWHERE)
        for name in _STATE_DICTS:
            getattr(self, name).load_state_dict(told[name])
        for name in _VALUES:
            setattr(self, name, told[name])
        self.totals = self.totals.to(self.device)
        if told["device"] == self.device.type:
            self.random.set_state(told["random"])
        else:
            # Two types of devices have different streams; what matters is not to repeat the first numbers.
            self.random.manual_seed(self.experiment.seed + self.images_seen)


_STATE_DICTS = ("generator", "discriminator", "average", "optimizer_g", "optimizer_d")
_VALUES = ("images_seen", "seconds", "steps", "totals", "history", "rows")


def fingerprint(images: Tensor) -> str:
    """sha256 hex of training images, their values and their order."""
    return hashlib.sha256(images.cpu().contiguous().numpy().data).hexdigest()


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    return network.to(device).to(memory_format=torch.channels_last)


def _read(path: Path) -> dict[str, Any]:
    try:
        told = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise BadCheckpoint(
            path, "is cut short, or no training state", "delete it to train from the start"
        ) from error
    wanted = {"experiment", "data", "device", "random", *_STATE_DICTS, *_VALUES}
    if not isinstance(told, dict) or not wanted <= told.keys():
        raise BadCheckpoint(path, "is no training state of this version", "delete it to train from the start")
    return told


def _leaves(fields: dict[str, Any], free: dict[str, Any] = FREE_FIELDS, prefix: str = "") -> dict[str, Any]:
    """`training.batch` -> 32 and so on, without the free fields."""
    leaves: dict[str, Any] = {}
    for name, value in fields.items():
        inner = free.get(name, {})
        if inner is True:
            continue
        if isinstance(value, dict):
            leaves |= _leaves(value, dict.fromkeys(inner, True), f"{prefix}{name}.")
        else:
            leaves[prefix + name] = value
    return leaves
