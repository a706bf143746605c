"""Everything that changes while training, and its file: what it takes to go on as if never interrupted.

In and out: `training-state.pt`, written by torch.save under a temporary name, read with weights_only=True. It
names the experiment and the images that it belongs to, and is not accepted for others.
`Uploads` sends it to the store while the training goes on, one at a time: the training waits for the former one, so
that a slow store slows it instead of being left behind by it.
"""

import copy
import hashlib
import json
import os
import pickle
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Adam, Optimizer, RMSprop

from chestgan_core.config.experiment import Experiment, resume_fields
from chestgan_core.config.training_plan import TrainingPlan
from chestgan_core.errors import BadCheckpoint
from chestgan_core.local.files import replacing
from chestgan_core.networks.registry import build_discriminator, build_generator
from chestgan_core.store.store import Store
from chestgan_core.training.devices import computes_bfloat16
from chestgan_core.training.losses import loss_of
from chestgan_core.training.sampling import Draw

STATE_FILE = "training-state.pt"
ELSEWHERE = "give another folder, or delete the file to train from the start"


@dataclass
class Best:
    """The generator with the lowest KID so far. kid: unbiased, not times 1000. weights: its state, on the CPU.

    since: looks without a better one.
    """

    kid: float
    images_seen: int
    weights: dict[str, Tensor]
    since: int = 0


class TrainingState:
    """Networks, optimizers, random numbers and counters, on one device.

    images_seen: real images shown to the discriminator. seconds: of all attempts. history: one row a tick. totals_d
    (4,): sums of the discriminator's loss, penalty, D(x) and D(G(z)), and total_g, of the generator's loss, over the
    `steps` since the last row; read once a row, because reading makes the processor wait for the GPU. rows, snapshots:
    pictures, and generators of earlier moments, by number of the row. looks: KID of each look. flat: rows in a row
    whose pictures hardly differ; widest: the most that they ever did, as a share of the real ones.
    """

    def __init__(self, experiment: Experiment, device: torch.device, draw: Draw, rank: int = 0) -> None:
        told = experiment.training
        # Channels last: measured 1.1 to 1.2 times faster on CPU, and what CUDA's tensor cores want.
        self.generator = _placed(build_generator(experiment), device)
        self.discriminator = _placed(build_discriminator(experiment), device)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimizer_g = _optimizer(told, self.generator)
        self.optimizer_d = _optimizer(told, self.discriminator)
        self.loss, self.draw = loss_of(told.loss), draw
        self.mixes_batches = any(isinstance(layer, _BatchNorm) for layer in self.discriminator.modules())
        wanted = told.precision
        self.half_precision = wanted == "bf16" or (wanted == "auto" and computes_bfloat16(device))
        # Members of a team draw different numbers; 2^40 is beyond every seed that people give.
        self.random = torch.Generator(device).manual_seed(experiment.seed + rank * 2**40)
        self.rank = rank
        self.images_seen, self.seconds, self.steps, self.all_steps = 0, 0.0, 0, 0
        self.totals_d, self.total_g = torch.zeros(4, device=device), torch.zeros((), device=device)
        self.history: list[dict[str, float | None]] = []
        self.rows: dict[int, Tensor] = {}
        self.snapshots: dict[int, dict[str, Tensor]] = {}
        self.looks: list[dict[str, float]] = []
        self.best: Best | None = None
        self.flat, self.widest = 0, 0.0
        self.experiment, self.device = experiment, device

    def finite(self) -> bool:
        """Whether losses and weights are numbers; makes the processor wait for the GPU."""
        sums = [self.totals_d.sum() + self.total_g]
        for network in (self.generator, self.discriminator, self.average):
            sums += [weight.detach().sum() for weight in network.parameters()]
        return bool(torch.stack(sums).isfinite().all())

    def averaged(self) -> dict[str, Tensor]:
        """The averaged generator as it is now: a copy of its weights, on the CPU."""
        return {name: tensor.cpu().clone() for name, tensor in self.average.state_dict().items()}

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
                    "best": None if self.best is None else vars(self.best),
                },
                temporary,
            )

    def restore(self, path: Path, data: str) -> None:
        """Go on from a file of `save`, exactly so on the same type of device.

        Raises BadCheckpoint: cut short, no training state, another experiment (names the fields) or images.
        """
        told = _read(path)
        stored = resume_fields(json.loads(told["experiment"]))
        changed = [
            f"{field} {stored.get(field)} instead of {value}"
            for field, value in resume_fields(self.experiment.model_dump(mode="json")).items()
            if stored.get(field) != value
        ]
        if changed:
            raise BadCheckpoint(path, f"belongs to another experiment: {', '.join(changed)}", ELSEWHERE)
        if told["data"] != data:
            raise BadCheckpoint(path, "belongs to other training images", ELSEWHERE)
        for name in _STATE_DICTS:
            getattr(self, name).load_state_dict(told[name])
        for name in _VALUES:
            setattr(self, name, told[name])
        self.totals_d, self.total_g = self.totals_d.to(self.device), self.total_g.to(self.device)
        self.best = None if told["best"] is None else Best(**told["best"])
        if told["device"] == self.device.type and not self.rank:
            self.random.set_state(told["random"])
        else:
            # Two types of devices have different streams; what matters is not to repeat the first numbers.
            self.random.manual_seed(self.experiment.seed + self.images_seen + self.rank * 2**40)


_STATE_DICTS = ("generator", "discriminator", "average", "optimizer_g", "optimizer_d")
_VALUES = (
    "images_seen", "seconds", "steps", "all_steps", "totals_d", "total_g", "history", "rows", "snapshots", "looks",
    "flat", "widest",
)  # fmt: skip


def fingerprint(*told: Tensor | None) -> str:
    """sha256 hex of training images with what belongs to them, their values and their order."""
    digest = hashlib.sha256()
    for tensor in told:
        digest.update(b"-" if tensor is None else tensor.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _optimizer(told: TrainingPlan, network: nn.Module) -> Optimizer:
    how = told.optimizer
    if how.kind == "rmsprop":
        return RMSprop(network.parameters(), how.lr, foreach=True)
    return Adam(network.parameters(), how.lr, (how.beta1, how.beta2), fused=True)


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    return network.to(device).to(memory_format=torch.channels_last)


def _read(path: Path) -> dict[str, Any]:
    try:
        told = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise BadCheckpoint(
            path, "is cut short, or no training state", "delete it to train from the start"
        ) from error
    wanted = {"experiment", "data", "device", "random", "best", *_STATE_DICTS, *_VALUES}
    if not isinstance(told, dict) or not wanted <= told.keys():
        raise BadCheckpoint(path, "is no training state of this version", "delete it to train from the start")
    return told


class Uploads:
    """`with Uploads(store, key) as uploads:`; leaving it waits for the last one. Errors of an upload are raised by the
    next call, or when it is left.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="upload")
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._wait()
        finally:
            self._thread.shutdown(wait=True)

    def send(self, path: Path) -> None:
        """Upload what is at `path` now; it may be replaced afterwards."""
        self._wait()
        frozen = path.with_name(f".{path.name}.sent")
        frozen.unlink(missing_ok=True)
        try:
            os.link(path, frozen)  # the state is replaced, never changed: its bytes stay under this name
        except OSError:
            shutil.copyfile(path, frozen)
        self._running = self._thread.submit(self._put, frozen)

    def _put(self, frozen: Path) -> None:
        try:
            self._store.put_file(frozen, self._key)
        finally:
            frozen.unlink(missing_ok=True)

    def _wait(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.result()
