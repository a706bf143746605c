"""Everything that changes in a training, and its checkpoint: what it takes to resume as if never interrupted.

In and out: `checkpoint.pt`, written by torch.save under a temporary name, read with weights_only=True. It names the
experiment and the training images that it belongs to, and is refused for others.
`CheckpointUploader` sends it to the store while the training continues, one at a time: the training waits for the
upload before, so that a slow store slows it instead of falling behind.
"""

import copy
import hashlib
import json
import os
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
from chestgan_core.layouts.table import LayoutTable
from chestgan_core.local.files import file_error, replacing
from chestgan_core.networks.registry import build_discriminator, build_generator
from chestgan_core.store.store import Store
from chestgan_core.training.devices import computes_bfloat16
from chestgan_core.training.losses import build_loss
from chestgan_core.training.mapped_images import Images, parts_of
from chestgan_core.training.sampling import IndexSampler

CHECKPOINT_FILE = "checkpoint.pt"
_OTHER_FOLDER = "give another folder, or delete the file to train from the start"
_FROM_START = "delete it to train from the start"


@dataclass
class Best:
    """The generator with the lowest KID so far. kid: unbiased, not times 1000. weights: its state dict, on the CPU.

    validations_since: without a better one.
    """

    kid: float
    images_seen: int
    weights: dict[str, Tensor]
    validations_since: int = 0


class TrainingState:
    """Networks, optimizers, random numbers and counters, on one device.

    ema: the generator with averaged weights. images_seen: real images shown to the discriminator. seconds: of all
    attempts. history: a row every `sample_every_images`. totals_d (4,): sums of the discriminator's loss, penalty, D(x)
    and D(G(z)), and total_g, of the generator's loss, over the `steps` since the last row; they are read once per row,
    because reading makes the CPU wait for the GPU. samples, snapshots: images (float16), and generators of earlier
    moments, by number of the row. validations: images_seen, seconds and KID of each. max_spread: how far images of
    different seeds ever differed, as a fraction of the spread of real ones; collapsed_rows: how many of the last rows
    have lost that. layouts: from which samples and validations draw what they ask for; it follows from the slices.
    """

    def __init__(
        self, experiment: Experiment, device: torch.device, sampler: IndexSampler, rank: int = 0
    ) -> None:
        plan = experiment.training
        # Channels last: measured 1.1 to 1.2 times faster on CPU, and what CUDA's tensor cores want.
        self.generator = _placed(build_generator(experiment), device)
        self.discriminator = _placed(build_discriminator(experiment), device)
        self.ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimizer_g = _optimizer(plan, self.generator)
        self.optimizer_d = _optimizer(plan, self.discriminator)
        self.loss, self.sampler = build_loss(plan.loss), sampler
        self.has_batch_norm = any(isinstance(layer, _BatchNorm) for layer in self.discriminator.modules())
        self.bf16 = plan.precision == "bf16" or (plan.precision == "auto" and computes_bfloat16(device))
        # Each process draws different numbers; 2^40 is beyond every seed that people give.
        self.random = torch.Generator(device).manual_seed(experiment.seed + rank * 2**40)
        self.rank = rank
        self.images_seen, self.seconds, self.steps, self.all_steps = 0, 0.0, 0, 0
        self.totals_d, self.total_g = torch.zeros(4, device=device), torch.zeros((), device=device)
        self.history: list[dict[str, float | None]] = []
        self.samples: dict[int, Tensor] = {}
        self.snapshots: dict[int, dict[str, Tensor]] = {}
        self.validations: list[dict[str, float]] = []
        self.best: Best | None = None
        self.collapsed_rows, self.max_spread = 0, 0.0
        self.experiment, self.device = experiment, device
        self.layouts: LayoutTable | None = None

    def is_finite(self) -> bool:
        """Whether no loss and no weight is NaN or infinite; makes the CPU wait for the GPU."""
        sums = [self.totals_d.sum() + self.total_g]
        for network in (self.generator, self.discriminator, self.ema):
            sums += [weight.detach().sum() for weight in network.parameters()]
        return bool(torch.stack(sums).isfinite().all())

    def ema_weights(self) -> dict[str, Tensor]:
        """The averaged generator as it is now: a copy of its state dict, on the CPU."""
        return {name: tensor.cpu().clone() for name, tensor in self.ema.state_dict().items()}

    def save(self, path: Path, data: str) -> None:
        """Write the checkpoint; data: `data_fingerprint` of the training images."""
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
        """Resume from a file of `save`; to the bit on the same type of device.

        Raises BadCheckpoint: cut short, not a checkpoint, of another experiment (names the fields) or other images.
        """
        saved = _read(path)
        try:
            self._restore(path, saved, data)
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise BadCheckpoint(
                path, "is damaged, or not a checkpoint of this version", _FROM_START
            ) from error

    def _restore(self, path: Path, saved: dict[str, Any], data: str) -> None:
        bound = resume_fields(json.loads(saved["experiment"]))
        asked = resume_fields(self.experiment.model_dump(mode="json"))
        # A section that was left out has no fields: the names of both, or it would not be missed.
        changed = [
            f"{field} {bound.get(field)} instead of {asked.get(field)}"
            for field in asked | bound
            if bound.get(field) != asked.get(field)
        ]
        if changed:
            raise BadCheckpoint(path, f"belongs to another experiment: {', '.join(changed)}", _OTHER_FOLDER)
        if saved["data"] != data:
            raise BadCheckpoint(path, "belongs to other training images", _OTHER_FOLDER)
        for name in _STATE_DICTS:
            getattr(self, name).load_state_dict(saved[name])
        for name in _VALUES:
            setattr(self, name, saved[name])
        self.totals_d, self.total_g = self.totals_d.to(self.device), self.total_g.to(self.device)
        self.best = None if saved["best"] is None else Best(**saved["best"])
        if saved["device"] == self.device.type and not self.rank:
            self.random.set_state(saved["random"])
        else:
            # Two types of devices have different streams; what matters is not to repeat the first numbers.
            self.random.manual_seed(self.experiment.seed + self.images_seen + self.rank * 2**40)


_STATE_DICTS = ("generator", "discriminator", "ema", "optimizer_g", "optimizer_d")
_VALUES = (
    "images_seen", "seconds", "steps", "all_steps", "totals_d", "total_g", "history", "samples", "snapshots",
    "validations", "collapsed_rows", "max_spread",
)  # fmt: skip


def data_fingerprint(*tensors: Images | None) -> str:
    """sha256 (hexadecimal) of training images and what is known of them: values and order, wherever they are. None: is
    not known.
    """
    digest = hashlib.sha256()
    for tensor in tensors:
        if tensor is None:
            digest.update(b"-")
        else:
            for part in parts_of(tensor):
                digest.update(part.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _optimizer(plan: TrainingPlan, network: nn.Module) -> Optimizer:
    """rate: the factor of the learning rate of a group of weights, where a network has several (step.py)."""
    settings = plan.optimizer
    rates = getattr(network, "rates", None)
    weights: Any = network.parameters()
    if rates is not None:
        weights = [{"params": some, "lr": settings.lr * rate, "rate": rate} for some, rate in rates()]
    if settings.kind == "rmsprop":
        return RMSprop(weights, settings.lr, foreach=True)
    return Adam(weights, settings.lr, (settings.beta1, settings.beta2), fused=True)


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    return network.to(device).to(memory_format=torch.channels_last)


def _read(path: Path) -> dict[str, Any]:
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        if error.errno is not None:
            raise file_error(path, error) from error
        raise BadCheckpoint(path, "is cut short, or not a checkpoint", _FROM_START) from error
    except Exception as error:  # whatever the bytes make torch and its unpickler raise
        raise BadCheckpoint(path, "is cut short, or not a checkpoint", _FROM_START) from error
    required = {"experiment", "data", "device", "random", "best", *_STATE_DICTS, *_VALUES}
    if not isinstance(saved, dict) or not required <= saved.keys():
        raise BadCheckpoint(path, "is not a checkpoint of this version", _FROM_START)
    return saved


class CheckpointUploader:
    """`with CheckpointUploader(store, key) as uploader:`; its end waits for the last upload. What an upload raises is
    raised by the next call, or at the end.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="upload")
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
            self._pool.shutdown(wait=True)

    def upload(self, path: Path) -> None:
        """Upload what is at `path` now; it may be replaced afterwards."""
        self._wait()
        frozen = path.with_name(f".{path.name}.upload")
        frozen.unlink(missing_ok=True)
        try:
            os.link(path, frozen)  # a checkpoint is replaced, never changed: its bytes stay under this name
        except OSError:
            shutil.copyfile(path, frozen)
        self._running = self._pool.submit(self._put, frozen)

    def _put(self, frozen: Path) -> None:
        try:
            self._store.put_file(frozen, self._key)
        finally:
            frozen.unlink(missing_ok=True)

    def _wait(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.result()
