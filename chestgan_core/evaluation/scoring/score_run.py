"""Everything that is measured of a run in the store: its generator, its discriminator, and images of them.

In: a run, its experiment and the networks that measure. Out: a MetricReport without gate and facts, which
stored_report.py adds and commits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import NotAvailable
from chestgan_core.evaluation.scoring.as_published import as_published
from chestgan_core.evaluation.scoring.attack_metrics import with_attacks
from chestgan_core.evaluation.scoring.attack_sides import MAX_IMAGES, KnownImages
from chestgan_core.evaluation.scoring.evaluate import evaluate, with_thesis
from chestgan_core.evaluation.scoring.feature_cache import CachedFeatures
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.provenance import features_of_training
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.evaluation.scoring.subject_metrics import with_subjects
from chestgan_core.evaluation.scoring.tumour_sides import tumour_sides
from chestgan_core.evaluation.scoring.tumours import with_tumours
from chestgan_core.evaluation.thesis.measuring import RunDiscriminator, ThesisImages
from chestgan_core.local.progress import Progress
from chestgan_core.metrics.feature_extractors import Extractor, open_extractor
from chestgan_core.slices.training_set import TrainingSet, open_training_set
from chestgan_core.store.artefacts import Artefact
from chestgan_core.store.store import Store
from chestgan_core.training.conditions import class_of
from chestgan_core.training.data import LoadedSlices, load_slices
from chestgan_core.training.devices import pick_device
from chestgan_core.training.generation import generate
from chestgan_core.training.layouts import asked_of, layouts_for
from chestgan_core.training.run import fetch_discriminator, fetch_generator
from chestgan_core.training.run_manifest import GENERATOR_FILE, read_run_manifest
from chestgan_core.training.weights import LoadedGenerator


@dataclass(frozen=True)
class ScoredRun:
    """report: its rows and pictures. run: its key. spread: mean over the pixels of the standard deviation between the
    synthetic images; 0 where all are the same.
    """

    report: MetricReport
    run: str
    training_set: TrainingSet
    spread: float


def opened_extractors(experiment: Experiment, device: str) -> list[Extractor | str]:
    """Those of the experiment, the headline's first; the name of one whose weights are not on this machine."""
    opened: list[Extractor | str] = []
    for name in experiment.evaluation.extractors:
        try:
            opened.append(open_extractor(name, pick_device(device), experiment.display_window))
        except NotAvailable:
            opened.append(name)
    return opened


def score_run(
    store: Store,
    experiment: Experiment,
    run: Artefact,
    extractors: Sequence[Extractor | str],
    device: str,
    folder: Path,
) -> ScoredRun:
    """Measure the newest generator of a run on patients that it was not trained on.

    folder: for what is fetched. Raises NotInStore, DamagedObject, StoreError, BadInput as evaluate() does.
    """
    where = pick_device(device)
    trained = read_run_manifest(store, run)
    training_set = open_training_set(store, experiment.dataset, trained.training_set)
    held_out = _slices(store, training_set, "held-out", experiment, folder)
    reference = _slices(store, training_set, "train", experiment, folder)
    generator = fetch_generator(store, run, folder / "model", where)
    first = experiment.publication.first_seed
    count = min(experiment.evaluation.images, len(held_out.images))
    seeds = range(first, first + count)
    with Progress(f"metric_report {experiment.name}", count, "images to score") as progress:
        layouts = layouts_for(seeds, experiment, generator.layouts, experiment.publication.tumour_fraction)
        made = generate(generator, seeds, layouts, progress)
        fake = as_published(made, experiment.publication.bits)
    report = evaluate(
        _real(held_out, experiment),
        fake,
        window=experiment.display_window,
        source_title=training_set.dataset.title,
        image_kind=training_set.dataset.image_kind,
        model_title=f"{experiment.name}, {trained.images_seen:,} images seen",
        reference=_real(reference, experiment),
        fake_classes=[class_of(seed, experiment) for seed in seeds] if experiment.classes else (),
        features_of=CachedFeatures(store, training_set),
        extractors=extractors,
        images=experiment.evaluation.images,
        seed=experiment.seed,
        snapshot=training_set.version,
        device=where,
        provenance={
            "experiment": experiment.name,
            "run": trained.run,
            "generator sha256": run.find(GENERATOR_FILE).sha256,
            "training set": f"{training_set.dataset.name} {training_set.version}",
            "licence of the source": training_set.dataset.licence,
            "seeds": f"{first} to {first + count - 1}",
            "bits of a pixel": f"{experiment.publication.bits}",
            **features_of_training(experiment),
        },
    )
    discriminator = RunDiscriminator(
        fetch_discriminator(store, run, folder / "model", where),
        "the run has no discriminator in the store",
        trained.best_at,
    )
    report = with_thesis(
        report,
        ThesisImages(held_out.images, held_out.conditions),
        ThesisImages(fake, asked_of(seeds, experiment, generator.layouts, layouts)),
        ThesisImages(reference.images, reference.conditions),
        discriminator,
        experiment.seed,
    )
    if experiment.evaluation.attacks:
        published = min(experiment.publication.images, MAX_IMAGES)
        report = with_attacks(
            report,
            KnownImages(reference.images, reference.patients, reference.conditions),
            KnownImages(held_out.images, held_out.patients, held_out.conditions),
            discriminator=discriminator,
            features_of=CachedFeatures(store, training_set),
            images=experiment.evaluation.images,
            seed=experiment.seed,
            snapshot=training_set.version,
            more=lambda: _made(generator, experiment, range(first + count, first + published)),
        )
    if experiment.conditions.tumour is not None:
        sides = tumour_sides(generator, experiment, reference, held_out, training_set.dataset.image_kind)
        report = with_tumours(
            report,
            sides,
            experiment.evaluation,
            snapshot=training_set.version,
            seed=experiment.seed,
            device=where,
            label=f"metric_report {experiment.name}",
        )
    if experiment.conditions.position:
        report = with_subjects(
            report,
            generator,
            held_out,
            snapshot=training_set.version,
            split=report.rows[0].split,
            seed=experiment.seed,
        )
    return ScoredRun(report, trained.run, training_set, float(fake.std(dim=0).mean()))


def _made(generator: LoadedGenerator, experiment: Experiment, seeds: range) -> Tensor:
    """The images of these seeds as published; none where there are no seeds."""
    size = experiment.resolution
    if not seeds:
        return torch.empty(0, 1, size, size)
    layouts = layouts_for(seeds, experiment, generator.layouts, experiment.publication.tumour_fraction)
    return as_published(generate(generator, seeds, layouts), experiment.publication.bits)


def _slices(
    store: Store, training_set: TrainingSet, side: str, experiment: Experiment, folder: Path
) -> LoadedSlices:
    marks = training_set.marks(store) if experiment.conditions.tumour is not None else None
    return load_slices(training_set.fetch(store, side, folder / side), experiment, marks)


def _real(loaded: LoadedSlices, experiment: Experiment) -> RealImages:
    numbers = [] if loaded.classes is None else loaded.classes.tolist()
    classes = tuple(experiment.classes[at] for at in numbers)
    return RealImages(loaded.images, loaded.patients, classes, loaded.rows)
