"""Where a report comes from, as data: the training set on the one side, the run on the other.

In: a committed training set and run. Out: DataFacts and RunFacts for report.json (`data` and `run`), and the same as
pairs of words for a page. Imports nothing heavy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chestgan_core.errors import BadInput
from chestgan_core.store.artefacts import Artefact, parse_typed

if TYPE_CHECKING:
    from chestgan_core.config.experiment import Experiment
    from chestgan_core.slices.training_set import TrainingSet

# In the provenance of a report: the network on whose features the discriminator was trained.
FEATURES_OF_TRAINING = "features that the training saw"
# Fields whose value is printed without their name.
KINDS = ("kind", "family")
# Sections of a training plan with a line of their own, in this order; all other fields share one line.
PARTS = ("loss", "augmentation", "optimizer", "sampling", "validation")


@dataclass(frozen=True)
class DataFacts:
    """The training set. snapshot: its version. patients, slices: counts by side. rules: how slices were selected."""

    dataset: str
    title: str
    licence: str
    citation: str
    doi: str
    snapshot: str
    patients: dict[str, int]
    slices: dict[str, int]
    rules: dict[str, Any]


@dataclass(frozen=True)
class RunFacts:
    """The run. experiment: its fields as it was trained. resumed_at: images seen by an interrupted attempt, or 0.

    best_kid (not times 1000), best_at (images seen): of the validation whose generator was kept; None: the last one.
    """

    experiment: dict[str, Any]
    run: str
    images_seen: int
    seconds: float
    resumed_at: int
    device: str
    precision: str
    best_kid: float | None
    best_at: int | None


def data_facts(training_set: "TrainingSet") -> DataFacts:
    """The `data` of a report."""
    dataset = training_set.dataset
    return DataFacts(
        dataset=dataset.name,
        title=dataset.title,
        licence=dataset.licence,
        citation=dataset.citation,
        doi=dataset.doi,
        snapshot=training_set.version,
        patients=dict(training_set.manifest["patients"]),
        slices=dict(training_set.manifest["slices"]),
        rules=dataset.training_set.model_dump(mode="json"),
    )


def features_of_training(experiment: "Experiment") -> dict[str, str]:
    """For the `provenance` of a report: the network whose features the discriminator saw; {} where it saw none."""
    projection = experiment.network.projection
    return {} if projection is None else {FEATURES_OF_TRAINING: projection.features}


def require_others(extractors: Sequence[str], training: Mapping[str, str]) -> None:
    """Refuse an extractor on whose features the discriminator was trained. training: as `features_of_training` has it.

    Raises BadInput.
    """
    network = training.get(FEATURES_OF_TRAINING)
    if network in extractors:
        cause = "is the network on whose features the discriminator was trained, which flatters the generator"
        raise BadInput(
            f"extractor {network}", cause, "judge by another one, best by radiomics, which is no relative"
        )


def run_facts(run: Artefact, where: str) -> RunFacts:
    """The `run` of a report. where: address of the run, named by an error. Raises DamagedObject."""
    return parse_typed(
        RunFacts,
        run.manifest,
        where,
        "materialize generator_checkpoint again",
        "the manifest of a run",
    )


def data_in_words(data: DataFacts) -> tuple[tuple[str, str], ...]:
    """Names and values for a page."""
    sides = "; ".join(
        f"{side}: {data.slices[side]:,} slices of {data.patients[side]:,} patients"
        for side in data.slices
        if side in data.patients
    )
    cited = [data.citation, f"doi:{data.doi}" if data.doi else ""]
    pairs = (
        ("dataset", f"{data.title} ({data.dataset})"),
        ("licence", data.licence),
        ("citation", " ".join(filter(None, cited))),
        ("split by patient", sides),
        ("selected by", in_words(data.rules)),
        ("snapshot", data.snapshot),
    )
    return tuple((name, text) for name, text in pairs if text)


def run_in_words(run: RunFacts) -> tuple[tuple[str, str], ...]:
    """Names and values for a page."""
    experiment = run.experiment
    plan = experiment["training"]
    kept = "with the last weights"
    if run.best_kid is not None:
        kept = f"that of {run.best_at:,} images seen, with KID {1000 * run.best_kid:.1f} x 1000 at its validation"
    size, window = experiment["resolution"], in_words(experiment["window"])
    rest = {name: value for name, value in plan.items() if name not in PARTS and value != 0}
    pairs = (
        ("experiment", f"{experiment['name']}. {experiment['description']}".strip()),
        ("network", in_words(experiment["network"])),
        ("images", f"{size} x {size}, window {window}"),
        ("classes", ", ".join(experiment["classes"])),
        *((name, in_words(plan[name])) for name in PARTS),
        ("plan", in_words(rest)),
        ("images seen", f"{run.images_seen:,} in {duration(run.seconds)}"),
        ("generator", kept),
        ("computed on", f"{run.device}, {run.precision}"),
        ("run", run.run),
    )
    return tuple((name, text) for name, text in pairs if text)


def in_words(value: object) -> str:
    """A field as a person reads it: `relativistic, gamma 1 and 0.1, penalty every 4`; "" for what is not set."""
    if isinstance(value, Mapping):
        kinds = [in_words(value[name]) for name in KINDS if name in value]
        named = [
            f"{name.replace('_', ' ')} {in_words(inner)}"
            for name, inner in value.items()
            if name not in KINDS and in_words(inner)
        ]
        return ", ".join([*kinds, *named])
    if isinstance(value, (list, tuple)):
        return " and ".join(map(in_words, value))
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    return f"{value:g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """`48 s`, `12 min` or `3 h 20 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
