"""The plan of an experiment: what its training takes, and what its reports and reader studies can show.

In: an experiment; its slices, or how many there are; a device, prices. Out: a Plan, before anything is trained. What is
measured was done for some seconds on this machine; everything else is called an estimate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.local.prices import Prices
from chestgan_core.metrics.feature_extractors import open_extractor
from chestgan_core.planning.duration import SCALES, Estimator, TimeAndCost
from chestgan_core.planning.held_out import HeldOutFacts, held_out_facts
from chestgan_core.planning.network_sizes import NetworkSize, sizes_of
from chestgan_core.planning.speed import SECONDS, Speed, measure_scoring, measure_speed
from chestgan_core.planning.stand_in_slices import stand_in_slices
from chestgan_core.publishing.reader.levels import levels_of
from chestgan_core.publishing.writing.png import encode_pngs
from chestgan_core.reading.power import images_to_rule_out, images_to_tell
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.devices import GPUS
from chestgan_core.training.gpu_workers import process_count
from chestgan_core.training.mapped_images import Images
from chestgan_core.training.schedule import Budget

READERS, AREAS = (1, 3, 5, 8), (0.6, 0.7, 0.8)
ENCODED = 64  # slices whose PNG files are measured


@dataclass(frozen=True)
class SideCounts:
    """Of one side of the split."""

    patients: int
    slices: int


@dataclass(frozen=True)
class DataFacts:
    """source: "files", or the version of a training set. held_out: None where no files of that side were given."""

    source: str
    train: SideCounts
    held_out: SideCounts | None


@dataclass(frozen=True)
class Bytes:
    """Of files. checkpoint, generator: measured. set: of the published images, an estimate; of_slices: from PNG files
    of training slices, else from uncompressed pixels.
    """

    checkpoint: int
    generator: int
    set: int
    set_images: int
    of_slices: bool


@dataclass(frozen=True)
class ReadersNeeded:
    """Images per side of a reader study of so many readers. to_tell: for each of AREAS, so that the interval lies above
    0.5 in 80 of 100 studies. to_rule_out: that it lies within 0.05 of 0.5, if readers guess. None: 2,000 are too few.
    """

    readers: int
    to_tell: tuple[int | None, ...]
    to_rule_out: int | None


@dataclass(frozen=True)
class Plan:
    """planned: to the end of the budget. at_scale: to SCALES. scored_per_second: images of each extractor, None where
    its weights are missing. report_seconds: of the feature passes of a report, an estimate, None where that is not
    known. held_out: None where no slices were given or looked at.
    """

    experiment: Experiment
    data: DataFacts | None
    held_out: HeldOutFacts | None
    generator: NetworkSize
    discriminator: NetworkSize
    speed: Speed
    scored_per_second: dict[str, float | None]
    report_seconds: float | None
    gpus: int
    planned: TimeAndCost
    at_scale: tuple[TimeAndCost, ...]
    currency: str
    bytes: Bytes
    readers: tuple[ReadersNeeded, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        fields = asdict(self) | {"experiment": self.experiment.name, "kind": "plan"}
        fields["areas"] = list(AREAS)
        return fields


def make_plan(
    experiment: Experiment,
    device: torch.device,
    prices: Prices,
    trained: LoadedSlices[Images] | None = None,
    held_out: LoadedSlices[Images] | None = None,
    data: DataFacts | None = None,
    budget: Budget | None = None,
    seconds: float = SECONDS,
) -> Plan:
    """Measure and estimate.

    Args:
        experiment: What would be trained.
        device: Where.
        prices: Without a currency no money is said.
        trained: Slices to train on; without them steps are timed on noise, and nothing is said of patients.
        held_out: Slices of other patients.
        data: Where both come from, and how many there are; by default counted in the slices.
        budget: By default that of the experiment.
        seconds: Of timed steps, at most.

    Raises:
        BadInput: The budget is in epochs and the number of slices is not known; the batch does not fit into the GPU.
        NotAvailable: The weights of the first extractor are missing, and slices were given.
    """
    if data is None and trained is not None:
        data = DataFacts("files", counts_of(trained), counts_of(held_out) if held_out is not None else None)
    if budget is None:
        budget = planned_budget(experiment, data)
    speed = measure_speed(experiment, device, trained, seconds, budget.images)
    scored = measure_scoring(experiment, experiment.evaluation.extractors, device)
    facts = None
    if trained is not None and held_out is not None:
        extractor = open_extractor(experiment.evaluation.extractor, device, experiment.display_window)
        facts = held_out_facts(trained, held_out, extractor, experiment.seed)
    gpus = gpus_of(experiment, device)
    estimator = Estimator(
        experiment.training, speed, validation_seconds(experiment, speed, scored), prices, gpus
    )
    one = stand_in_slices(experiment).conditions.at(slice(0, 1), experiment.resolution)
    generator, discriminator = sizes_of(experiment, one)
    return Plan(
        experiment=experiment,
        data=data,
        held_out=facts,
        generator=generator,
        discriminator=discriminator,
        speed=speed,
        scored_per_second=scored,
        report_seconds=_report_seconds(experiment, data, scored),
        gpus=gpus,
        planned=estimator.of_budget(budget),
        at_scale=tuple(estimator.of_images(images) for images in SCALES),
        currency=prices.currency,
        bytes=_bytes(experiment, speed, trained),
        readers=readers_needed(READERS),
    )


def counts_of(slices: LoadedSlices[Images]) -> SideCounts:
    """Patients and slices."""
    return SideCounts(len(set(slices.patients)), len(slices))


def readers_needed(readers: Sequence[int]) -> tuple[ReadersNeeded, ...]:
    """For each number of readers."""
    return tuple(
        ReadersNeeded(count, tuple(images_to_tell(area, count) for area in AREAS), images_to_rule_out(count))
        for count in readers
    )


def planned_budget(experiment: Experiment, data: DataFacts | None) -> Budget:
    """That of the experiment. Raises BadInput: it is in epochs, and the number of slices is not known."""
    plan = experiment.training
    if data is not None:
        return Budget.from_plan(plan, data.train.slices)
    if plan.images is None and plan.minutes is None:
        cause = f"its budget is {plan.epochs:g} epochs, and nothing says of how many slices"
        raise BadInput(f"experiment {experiment.name}", cause, "give --data, --images or --minutes")
    return Budget(plan.minutes, plan.images)


def validation_seconds(experiment: Experiment, speed: Speed, scored: Mapping[str, float | None]) -> float:
    """Of one validation. scored: images per second of the extractors; without a rate only generation counts."""
    validation, rate = experiment.training.validation, scored.get(experiment.evaluation.extractor)
    if validation is None:
        return 0.0
    return validation.images / speed.generated_per_second + (validation.images / rate if rate else 0.0)


def gpus_of(experiment: Experiment, device: torch.device) -> int:
    """How many GPUs a training holds; 0 on the CPU."""
    return process_count(experiment, device) if device.type in GPUS else int(device.type != "cpu")


def _report_seconds(
    experiment: Experiment, data: DataFacts | None, scored: dict[str, float | None]
) -> float | None:
    """Of the features of three sides by each extractor whose weights are here."""
    rates = [rate for rate in scored.values() if rate]
    if data is None or data.held_out is None or not rates:
        return None
    images = min(experiment.evaluation.images, data.held_out.slices)
    return sum((2 * images + min(images, data.train.slices)) / rate for rate in rates)


def _bytes(experiment: Experiment, speed: Speed, trained: LoadedSlices[Images] | None) -> Bytes:
    publication = experiment.publication
    each = experiment.resolution**2 * publication.bits / 8
    if trained is not None:
        some = trained.images[:: max(len(trained) // ENCODED, 1)][:, 0].numpy()
        files = encode_pngs(levels_of(some, publication.bits), publication.bits)
        each = sum(map(len, files)) / len(files)
    return Bytes(
        checkpoint=speed.checkpoint_bytes,
        generator=speed.generator_bytes,
        set=round(each * publication.images),
        set_images=publication.images,
        of_slices=trained is not None,
    )
