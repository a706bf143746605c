"""A training run between store and store: the training set comes in, a committed run goes out.

In: an experiment. Out: `experiments/<experiment>/<run>/` with weights, configuration, history and pictures. The run
is named by what decides its weights (experiment, training set, version of the code), so an interrupted run finds its
own last checkpoint in the store, and a finished one is not trained twice.
"""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pyarrow.parquet as pq
import torch
from torch import Tensor

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadCheckpoint, BadExperiment, NotInStore
from chestgan_core.slices.training_set import TrainingSet, open_training_set
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, content_version
from chestgan_core.store.store import Store
from chestgan_core.training.checkpoint import STATE_FILE, Uploads
from chestgan_core.training.data import LoadedSlices, load_training_slices
from chestgan_core.training.devices import pick_device
from chestgan_core.training.generation import generate
from chestgan_core.training.gpu_workers import mates, team_size
from chestgan_core.training.loop import SNAPSHOT_FILE, TrainingDiverged, TrainingOutcome, Watcher, train
from chestgan_core.training.schedule import Budget
from chestgan_core.training.validation import Judge, TrainingCollapsed, held_out_judge
from chestgan_core.training.version import VERSION
from chestgan_core.training.weights import (
    DISCRIMINATOR_FILE,
    GENERATOR_FILE,
    LoadedDiscriminator,
    LoadedGenerator,
    load_discriminator,
    load_generator,
)

OnRow: TypeAlias = Callable[[dict[str, float | None], Tensor], object]

CHECKED_SEEDS = 16
FILES = (
    GENERATOR_FILE, DISCRIMINATOR_FILE, "config.json", "history.parquet", "looks.parquet", "curves.png", "samples.png",
    "progress.png", "progress.gif",
)  # fmt: skip


@dataclass(frozen=True)
class TrainedRun:
    """A committed run. sha256: of the generator. reused: it was there before.

    resumed_at: images that an interrupted attempt had seen, 0 if there was none. Losses: last row of the history.
    spread: mean over pixels of the standard deviation between images of the generator as it is in the store; 0 is a
    collapse.
    """

    name: str
    uri: str
    sha256: str
    training_set: str
    device: str
    images_seen: int
    resumed_at: int
    minutes: float
    images_per_second: float
    loss_g: float
    loss_d: float
    spread: float
    reused: bool
    best_kid: float | None
    best_at: int | None
    samples_png: bytes
    progress_png: bytes
    curves_png: bytes


def train_experiment(
    store: Store, experiment: Experiment, device: str, folder: Path, on_row: OnRow | None = None
) -> TrainedRun:
    """Train an experiment on the newest training set of its dataset and commit the run. folder: scratch.

    on_row: gets each new row of the history with its pictures, while the training goes on.
    Raises NotInStore (no training set), BadCheckpoint, TrainingDiverged and TrainingCollapsed (they name the object in
    the store from which the training goes on), NotAvailable (no extractor to select with), StoreError.
    """
    training_set = open_training_set(store, experiment.dataset)
    name = run_name(experiment, training_set)
    manifest_key = keys.run_manifest(experiment.name, name)
    reused = store.head(manifest_key) is not None
    if reused:
        print(f"training {experiment.name}: this is run {name}, trained already", file=sys.stderr)
        artefact = store.read_manifest(manifest_key)
    else:
        artefact = _train(store, experiment, training_set, name, pick_device(device), folder, on_row)
    store.update_pointer(keys.run_latest(experiment.name), {"run": name})
    stored = fetch_generator(store, artefact, folder / "stored", torch.device("cpu"))
    spread = float(generate(stored, range(CHECKED_SEEDS)).std(dim=0).mean())
    return _told(store, name, artefact, spread, reused)


def run_name(experiment: Experiment, training_set: TrainingSet) -> str:
    """16 hexadecimal digits of what decides the weights."""
    return content_version(experiment.fingerprint(), training_set.version, VERSION)


def newest_run(store: Store, experiment: Experiment) -> tuple[str, Artefact]:
    """Name and artefact of the run that counts.

    Raises NotInStore: nothing was trained, or the experiment was changed since, so that what it says now (window,
    resolution, network) is not true of the run.
    """
    what = f"experiment {experiment.name}"
    try:
        name = str(store.get_pointer(keys.run_latest(experiment.name))[0]["run"])
    except NotInStore as error:
        raise NotInStore(
            what, "has no finished training", "materialize generator_checkpoint first"
        ) from error
    run = store.read_manifest(keys.run_manifest(experiment.name, name))
    if not _trained_as(run, experiment):
        raise NotInStore(
            what,
            f"its newest run, {name}, was trained with other settings",
            "materialize generator_checkpoint",
        )
    return name, run


def _trained_as(run: Artefact, experiment: Experiment) -> bool:
    """Whether what decides the weights is the same now."""
    try:
        theirs = parse_experiment(dict(run.manifest["experiment"]), experiment.name, run.manifest_key)
    except (BadExperiment, KeyError, TypeError, ValueError):
        return False  # of a version with other fields
    return theirs.fingerprint() == experiment.fingerprint()


def fetch_generator(store: Store, run: Artefact, folder: Path, device: torch.device) -> LoadedGenerator:
    """The generator of a committed run, verified."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = run.find(GENERATOR_FILE)
    store.get_file(stored.key, folder / GENERATOR_FILE, stored.sha256)
    return load_generator(folder, device)


def fetch_discriminator(
    store: Store, run: Artefact, folder: Path, device: torch.device
) -> LoadedDiscriminator | None:
    """The discriminator of a committed run, verified: that of its last weights. None: the run is of a version that
    did not keep it.
    """
    stored = next((item for item in run.objects if run.name(item) == DISCRIMINATOR_FILE), None)
    if stored is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    store.get_file(stored.key, folder / DISCRIMINATOR_FILE, stored.sha256)
    return load_discriminator(folder, device)


def _train(
    store: Store,
    experiment: Experiment,
    training_set: TrainingSet,
    name: str,
    device: torch.device,
    folder: Path,
    on_row: OnRow | None,
) -> Artefact:
    out = folder / "run"
    out.mkdir(parents=True, exist_ok=True)
    state_key = keys.run_state(experiment.name, name)
    if store.head(state_key) is not None:
        store.get_file(state_key, out / STATE_FILE)
    slices = load_training_slices(training_set.fetch(store, "train", folder / "slices"), experiment)
    judge = None
    if experiment.training.validation:
        held_out = training_set.fetch(store, "held-out", folder / "held-out")
        judge = held_out_judge(held_out, experiment, device)
    outcome = _train_from(store, experiment, slices, out, device, state_key, judge, on_row)
    kept = sorted(path.name for path in out.glob(SNAPSHOT_FILE.replace("{:010d}", "*")))
    artefact = store.commit(
        keys.run_manifest(experiment.name, name),
        {file: out / file for file in (*FILES, *kept)},
        {
            "kind": "generator",
            "experiment": experiment.model_dump(mode="json"),
            "run": name,
            "training_set": training_set.version,
            "dataset": training_set.dataset.name,
            "device": str(device),
            "precision": outcome.precision,
            "images_seen": outcome.images_seen,
            "seconds": round(outcome.seconds, 3),
            "resumed_at": outcome.resumed_at,
            "best_kid": outcome.best_kid,
            "best_at": outcome.best_at,
        },
    )
    store.delete(state_key)
    return artefact


def _train_from(
    store: Store,
    experiment: Experiment,
    slices: LoadedSlices,
    out: Path,
    device: torch.device,
    state_key: str,
    judge: Judge | None,
    on_row: OnRow | None,
) -> TrainingOutcome:
    """train() with its checkpoints in the store, which is where a person can do something about them."""
    budget = Budget.of(experiment.training, len(slices))
    where = store.uri(state_key)
    try:
        size = team_size(experiment, device)
        with (
            Uploads(store, state_key) as uploads,
            mates(size, experiment, slices, out, device, budget),
        ):
            watcher = Watcher(uploads.send, on_row) if on_row else Watcher(uploads.send)
            return train(experiment, slices, out, device, budget, judge, watcher)
    except BadCheckpoint as error:
        raise BadCheckpoint(where, error.cause, "delete this object to train from the start") from error
    except (TrainingDiverged, TrainingCollapsed) as error:
        remedy = "change the experiment: lower optimizer.lr, augmentation, another loss"
        if store.head(state_key) is not None:
            remedy += f"; the state before is {where}: delete this object to train from the start"
        raise type(error)(error.what, error.cause, remedy) from error


def _told(store: Store, name: str, artefact: Artefact, spread: float, reused: bool) -> TrainedRun:
    told = artefact.manifest
    last = pq.read_table(io.BytesIO(store.read(artefact, "history.parquet"))).to_pylist()[-1]
    return TrainedRun(
        name=name,
        uri=store.uri(artefact.manifest_key),
        sha256=artefact.find(GENERATOR_FILE).sha256,
        training_set=told["training_set"],
        device=told["device"],
        images_seen=told["images_seen"],
        resumed_at=told["resumed_at"],
        minutes=told["seconds"] / 60,
        images_per_second=told["images_seen"] / told["seconds"],
        loss_g=last["loss_g"],
        loss_d=last["loss_d"],
        spread=spread,
        reused=reused,
        samples_png=store.read(artefact, "samples.png"),
        best_kid=told["best_kid"],
        best_at=told["best_at"],
        progress_png=store.read(artefact, "progress.png"),
        curves_png=store.read(artefact, "curves.png"),
    )
