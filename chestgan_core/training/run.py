"""A training run from store to store: a training set comes in, a committed run goes out.

In: an experiment. Out: `experiments/<experiment>/<run>/` with weights, configuration, history and images. The run is
named by what decides its weights (experiment, training set, version of the code), so an interrupted run finds its own
last checkpoint in the store, and a finished one is not trained twice.
"""

import logging
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadCheckpoint, Forgotten, NotInStore
from chestgan_core.layouts.table import LayoutTable
from chestgan_core.local.parquet import read_parquet
from chestgan_core.slices.training_set import TrainingSet, open_training_set
from chestgan_core.store import keys
from chestgan_core.store.artefacts import AGAIN, Artefact
from chestgan_core.store.forgotten import remove_artefact
from chestgan_core.store.store import Store
from chestgan_core.training.asked_pictures import PAIRS_FILE, PATIENT_FILE
from chestgan_core.training.checkpoint import CHECKPOINT_FILE, CheckpointUploader
from chestgan_core.training.data import LoadedSlices, load_training_slices
from chestgan_core.training.devices import pick_device
from chestgan_core.training.generation import generate
from chestgan_core.training.gpu_workers import process_count, start_gpu_workers
from chestgan_core.training.loop import (
    SNAPSHOT_FILE,
    TrainingCallbacks,
    TrainingDiverged,
    TrainingOutcome,
    train,
)
from chestgan_core.training.mapped_images import Images
from chestgan_core.training.records import HISTORY_FILE, VALIDATION_FILE
from chestgan_core.training.run_manifest import (
    GENERATOR_FILE,
    RunManifest,
    read_run_manifest,
    run_name_of,
    trained_as,
)
from chestgan_core.training.schedule import Budget
from chestgan_core.training.slice_memory import Held
from chestgan_core.training.validation import KidScorer, TrainingCollapsed, open_validator
from chestgan_core.training.weights import (
    CONFIG_FILE,
    DISCRIMINATOR_FILE,
    LoadedDiscriminator,
    LoadedGenerator,
    load_discriminator,
    load_generator,
)

SPREAD_SEEDS = 16
FILES = (
    GENERATOR_FILE, DISCRIMINATOR_FILE, CONFIG_FILE, HISTORY_FILE, VALIDATION_FILE, "curves.png", "samples.png",
    "progress.png", "progress.gif",
)  # fmt: skip
ASKED_FILES = (PAIRS_FILE, PATIENT_FILE)  # of generators that can make them

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedRun:
    """A committed run. sha256: of the generator. reused: it was in the store before.

    resumed_at: images that an interrupted attempt had seen, 0 without one. loss_g, loss_d: last row of the history.
    spread: mean over pixels of the standard deviation between images of the generator as it is in the store; 0 is mode
    collapse. best_kid (not times 1000), best_at (images seen): of the validation whose generator is kept. told: as in
    RunManifest. layouts, tumour_layouts: in the file of the generator, all and those with a tumour. pairs_png: of
    asked_pictures.py, None where the generator is told of no tumours. has_patient: whether the run has patient.gif.
    slices: whether they were in memory, or read from a mapped file.
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
    told: dict[str, int]
    layouts: int
    tumour_layouts: int
    pairs_png: bytes | None
    has_patient: bool
    slices: Held


def train_experiment(
    store: Store,
    experiment: Experiment,
    device: str,
    folder: Path,
    callbacks: TrainingCallbacks | None = None,
) -> TrainedRun:
    """Train an experiment on the newest training set of its dataset and commit the run. folder: scratch.

    callbacks: called while the training runs; checkpoints go to the store too.
    Raises NotInStore (no training set), BadCheckpoint, TrainingDiverged and TrainingCollapsed (they name the checkpoint
    in the store from which the training resumes), NotAvailable (no extractor for the validation), Forgotten (a patient
    of the training set has withdrawn meanwhile; nothing of the run is kept), StoreError.
    """
    training_set = open_training_set(store, experiment.dataset)
    name = run_name(experiment, training_set)
    manifest_key = keys.run_manifest(experiment.name, name)
    reused = store.head(manifest_key) is not None
    if reused:
        log.info("training %s: run %s is in the store, nothing to train", experiment.name, name)
        artefact = store.read_manifest(manifest_key)
    else:
        artefact = _train(store, experiment, training_set, name, pick_device(device), folder, callbacks)
    store.update_pointer(keys.run_latest(experiment.name), {"run": name})
    stored = fetch_generator(store, artefact, folder / "stored", torch.device("cpu"))
    spread = float(generate(stored, range(SPREAD_SEEDS)).std(dim=0).mean())
    return _trained_run(store, name, artefact, stored.layouts, spread, reused)


def run_name(experiment: Experiment, training_set: TrainingSet) -> str:
    """16 hexadecimal digits of what decides the weights."""
    return run_name_of(experiment.fingerprint(), training_set.version)


def newest_run(store: Store, experiment: Experiment) -> tuple[str, Artefact]:
    """Name and artefact of the run that counts.

    Raises NotInStore: nothing was trained, or the experiment was changed since, so that what it says now (window,
    resolution, network) is not true of the run.
    """
    what = f"experiment {experiment.name}"
    try:
        (name,) = store.read_pointer(keys.run_latest(experiment.name), "run")
    except NotInStore as error:
        raise NotInStore(
            what, "has no finished training", "materialize generator_checkpoint first"
        ) from error
    run = store.read_manifest(keys.run_manifest(experiment.name, name))
    if not trained_as(run.manifest.get("experiment"), experiment):
        raise NotInStore(
            what,
            f"its newest run, {name}, was trained with other settings",
            "materialize generator_checkpoint",
        )
    return name, run


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
    callbacks: TrainingCallbacks | None,
) -> Artefact:
    out = folder / "run"
    out.mkdir(parents=True, exist_ok=True)
    checkpoint_key = keys.run_checkpoint(experiment.name, name)
    if store.head(checkpoint_key) is not None:
        store.get_file(checkpoint_key, out / CHECKPOINT_FILE)
    marks = training_set.marks(store) if experiment.conditions.tumour is not None else None
    fetched = training_set.fetch(store, "train", folder / "slices")
    slices = load_training_slices(fetched, experiment, marks, device)
    shutil.rmtree(folder / "slices")  # a mapped file takes as much of the disk again
    scorer = None
    if experiment.training.validation:
        held_out = training_set.fetch(store, "held-out", folder / "held-out")
        scorer = open_validator(held_out, slices, experiment, device, marks)
    try:
        outcome = _train_from(
            store, experiment, training_set, slices, out, device, checkpoint_key, scorer, callbacks
        )
    except Forgotten:
        store.delete(checkpoint_key)
        raise
    snapshots = sorted(path.name for path in out.glob(SNAPSHOT_FILE.replace("{:010d}", "*")))
    asked = [file for file in ASKED_FILES if (out / file).is_file()]
    artefact = store.commit(
        keys.run_manifest(experiment.name, name),
        {file: out / file for file in (*FILES, *asked, *snapshots)},
        asdict(
            RunManifest(
                run=name,
                experiment=experiment.model_dump(mode="json"),
                dataset=training_set.dataset.name,
                training_set=training_set.version,
                device=str(device),
                precision=outcome.precision,
                images_seen=outcome.images_seen,
                seconds=round(outcome.seconds, 3),
                resumed_at=outcome.resumed_at,
                best_kid=outcome.best_kid,
                best_at=outcome.best_at,
                told=slices.told(),
                slices=slices.held,
            )
        ),
    )
    store.delete(checkpoint_key)
    try:
        _require_there(store, training_set)
    except Forgotten:
        remove_artefact(store, artefact.manifest_key)
        raise
    return artefact


def _require_there(store: Store, training_set: TrainingSet) -> None:
    """Raises Forgotten: a tombstone stands in the place of the training set. One request without an answer's body."""
    key = training_set.artefact.manifest_key
    found = store.head(key)
    if found is None or found.sha256 != training_set.artefact.sha256:
        cause = "was deleted meanwhile, because a patient of it has withdrawn"
        raise Forgotten(store.uri(key), cause, "materialize training_set, then train again")


def _train_from(
    store: Store,
    experiment: Experiment,
    training_set: TrainingSet,
    slices: LoadedSlices[Images],
    out: Path,
    device: torch.device,
    checkpoint_key: str,
    scorer: KidScorer | None,
    callbacks: TrainingCallbacks | None,
) -> TrainingOutcome:
    """train() with its checkpoints in the store; errors name the object there, which is what a person can delete."""
    budget = Budget.from_plan(experiment.training, len(slices))
    where = store.uri(checkpoint_key)
    try:
        count = process_count(experiment, device)
        with (
            CheckpointUploader(store, checkpoint_key) as uploader,
            start_gpu_workers(count, experiment, slices, out, device, budget) as world,
        ):
            shown = callbacks or TrainingCallbacks()

            def on_checkpoint(path: Path) -> None:
                _require_there(store, training_set)
                uploader.upload(path)
                shown.on_checkpoint(path)

            both = replace(shown, on_checkpoint=on_checkpoint)
            return train(experiment, slices, out, device, budget, scorer, both, world=world)
    except BadCheckpoint as error:
        raise BadCheckpoint(where, error.cause, "delete this object to train from the start") from error
    except (TrainingDiverged, TrainingCollapsed) as error:
        remedy = "change the experiment: lower optimizer.lr, augmentation, another loss"
        if store.head(checkpoint_key) is not None:
            remedy += f"; the checkpoint before is {where}: delete this object to train from the start"
        raise type(error)(error.what, error.cause, remedy) from error


def _trained_run(
    store: Store, name: str, artefact: Artefact, layouts: LayoutTable | None, spread: float, reused: bool
) -> TrainedRun:
    manifest = read_run_manifest(store, artefact)
    files = {artefact.name(item) for item in artefact.objects}
    where = f"{store.uri(artefact.manifest_key)}: {HISTORY_FILE}"
    last = read_parquet(store.read(artefact, HISTORY_FILE), where, AGAIN).to_pylist()[-1]
    return TrainedRun(
        name=name,
        uri=store.uri(artefact.manifest_key),
        sha256=artefact.find(GENERATOR_FILE).sha256,
        training_set=manifest.training_set,
        device=manifest.device,
        images_seen=manifest.images_seen,
        resumed_at=manifest.resumed_at,
        minutes=manifest.seconds / 60,
        images_per_second=manifest.images_seen / manifest.seconds,
        loss_g=last["loss_g"],
        loss_d=last["loss_d"],
        spread=spread,
        reused=reused,
        samples_png=store.read(artefact, "samples.png"),
        best_kid=manifest.best_kid,
        best_at=manifest.best_at,
        progress_png=store.read(artefact, "progress.png"),
        curves_png=store.read(artefact, "curves.png"),
        told=manifest.told,
        layouts=0 if layouts is None else len(layouts),
        tumour_layouts=0 if layouts is None else int(layouts.has_box.sum()),
        pairs_png=store.read(artefact, PAIRS_FILE) if PAIRS_FILE in files else None,
        has_patient=PATIENT_FILE in files,
        slices=manifest.slices,
    )
