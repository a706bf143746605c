"""The manifest of a training run, as it is written and as it is read. Imports nothing heavy: automation reads it."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadExperiment, DamagedObject, NotInStore
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, content_version, parse_typed
from chestgan_core.store.store import Store
from chestgan_core.training.version import VERSION

GENERATOR_FILE = "generator.safetensors"
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class RunManifest:
    """What is known of a committed run besides its files.

    experiment: its fields as it was trained, which may be those of an earlier version. training_set: version.
    images_seen: by the discriminator, real ones. seconds: of training, all attempts together. resumed_at: images that
    an interrupted attempt had seen, 0 without one. best_kid (not times 1000), best_at (images seen): of the validation
    whose generator was kept; None: the last one was. told: of the training slices, how many show a tumour, surely none,
    or are unknown, and how many have a position; only what the generator was told of. slices: whether they were in
    memory, or read from a mapped file.
    """

    run: str
    experiment: dict[str, Any]
    dataset: str
    training_set: str
    device: str
    precision: str
    images_seen: Count
    seconds: Annotated[float, Field(ge=0)]
    resumed_at: Count
    best_kid: float | None
    best_at: Count | None
    told: dict[str, Count] = field(default_factory=dict)
    slices: Literal["memory", "mapped"] = "memory"
    kind: Literal["generator"] = "generator"


def run_name_of(fingerprint: Any, training_set: str) -> str:
    """16 hexadecimal digits of what decides the weights. fingerprint: of the experiment. training_set: its version."""
    return content_version(fingerprint, training_set, VERSION)


def runs_of(store: Store, experiment: str) -> list[str]:
    """Keys of the manifests of an experiment's finished runs, the current one first. Raises StoreError."""
    listed = [
        item.key
        for item in store.list(f"{keys.runs_prefix()}{experiment}/")
        if item.key.endswith(f"/{keys.MANIFEST}")
    ]
    try:
        current = keys.run_manifest(experiment, *store.read_pointer(keys.run_latest(experiment), "run"))
    except (NotInStore, DamagedObject):
        return listed
    return sorted(listed, key=lambda key: key != current)


def trained_as(fields: Any, experiment: Experiment) -> bool:
    """Whether what decides the weights is the same now. fields: of the experiment, as the manifest of a run has
    them.
    """
    try:
        trained = parse_experiment(dict(fields), experiment.name, f"a run of {experiment.name}")
    except (BadExperiment, TypeError, ValueError):
        return False  # of a version with other fields
    return trained.fingerprint() == experiment.fingerprint()


def generator_sha256(run: Artefact) -> str:
    """Of the weights that a run ended with, hex; "" of a run without any."""
    return next((item.sha256 for item in run.objects if run.name(item) == GENERATOR_FILE), "")


def read_run_manifest(store: Store, run: Artefact) -> RunManifest:
    """The manifest of a committed run. Raises DamagedObject: a field is missing or out of bounds."""
    where = store.uri(run.manifest_key)
    return parse_typed(
        RunManifest, run.manifest, where, "materialize generator_checkpoint again", "the manifest of a run"
    )
