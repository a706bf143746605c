"""The metric report of an experiment between store and store.

In: the newest run of an experiment and the training set it was trained on. Out:
`reports/<experiment>/<run>/<version>/` with report.json, report.html, report.pdf and figures, and the pointer.
"""

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import NotAvailable, NotInStore
from chestgan_core.evaluation.pages.report_page import CURVES, PROGRESS, write_report
from chestgan_core.evaluation.scoring.evaluate import evaluate, with_thesis
from chestgan_core.evaluation.scoring.feature_cache import KeptFeatures
from chestgan_core.evaluation.scoring.gate import judge
from chestgan_core.evaluation.scoring.provenance import data_facts, run_facts
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.evaluation.thesis.measuring import Opponent, ThesisImages, instruments
from chestgan_core.evaluation.version import VERSION
from chestgan_core.local.progress import Progress
from chestgan_core.metrics.feature_extractors import open_extractor
from chestgan_core.slices.training_set import TrainingSet, open_training_set
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, content_version
from chestgan_core.store.store import Store
from chestgan_core.training.data import LoadedSlices, load_slices
from chestgan_core.training.devices import pick_device
from chestgan_core.training.generation import class_numbers, class_of, generate
from chestgan_core.training.run import fetch_discriminator, fetch_generator, newest_run
from chestgan_core.training.weights import GENERATOR_FILE

PDF = "report.pdf"
CONTACT_SHEET = "figures/real-beside-synthetic.png"


@dataclass(frozen=True)
class StoredReport:
    """A committed report. pdf: empty in one of an older version. spread: mean over pixels of the standard deviation
    between the synthetic images.
    """

    uri: str
    version: str
    told: dict[str, Any]
    spread: float
    html: str
    pdf: bytes
    contact_sheet_png: bytes

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the report as plain data."""
        return list(self.told["rows"])

    @property
    def text(self) -> str:
        """The score card for a terminal."""
        return str(self.told["text"])


def report_experiment(store: Store, experiment: Experiment, device: str, folder: Path) -> StoredReport:
    """Score the newest run on patients that it was not trained on. The same run and settings are scored once.

    The images are those of the published set: same generator, same seeds. Raises NotInStore (also where the newest
    run was trained with other settings), StoreError.
    """
    name, run = newest_run(store, experiment)
    version = _version(run, experiment)
    manifest_key = keys.report_manifest(experiment.name, name, version)
    if store.head(manifest_key) is None:
        _write(store, experiment, run, manifest_key, device, folder)
    else:
        print(f"metric_report {experiment.name}: run {name} is scored already", file=sys.stderr)
    store.update_pointer(keys.report_latest(experiment.name), {"run": name, "version": version})
    return _read(store, store.read_manifest(manifest_key), version)


def latest_report(store: Store, experiment: str) -> StoredReport:
    """The report that counts. Raises NotInStore."""
    artefact, version = _newest(store, experiment)
    return _read(store, artefact, version)


def fetch_report(store: Store, experiment: str, folder: Path) -> StoredReport:
    """The files of the report that counts, each verified. Raises NotInStore, DamagedObject, BadInput."""
    artefact, version = _newest(store, experiment)
    store.fetch(artefact, folder)
    return _read(store, artefact, version)


def _newest(store: Store, experiment: str) -> tuple[Artefact, str]:
    try:
        pointer = store.get_pointer(keys.report_latest(experiment))[0]
    except NotInStore as error:
        raise NotInStore(
            f"experiment {experiment}", "has no report", "materialize metric_report first"
        ) from error
    version = str(pointer["version"])
    return store.read_manifest(keys.report_manifest(experiment, str(pointer["run"]), version)), version


def _version(run: Artefact, experiment: Experiment) -> str:
    """What decides a report: weights, settings, seeds, our code, and the networks that measure or their absence."""
    try:
        extractor = open_extractor(experiment.evaluation.extractor).id
    except NotAvailable:
        extractor = "not available"
    decided = [
        run.sha256,
        experiment.evaluation.model_dump_json(),
        experiment.release.model_dump_json(),
        str(experiment.publication.first_seed),
        extractor,
        *instruments(),
        VERSION,
    ]
    return content_version(*decided)


def _write(
    store: Store, experiment: Experiment, run: Artefact, manifest_key: str, device: str, folder: Path
) -> None:
    where = pick_device(device)
    training_set = open_training_set(store, experiment.dataset, run.manifest["training_set"])
    held_out = _slices(store, training_set, "held-out", experiment, folder)
    reference = _slices(store, training_set, "train", experiment, folder)
    generator = fetch_generator(store, run, folder / "model", where)
    first = experiment.publication.first_seed
    count = min(experiment.evaluation.images, len(held_out.images))
    with Progress(f"metric_report {experiment.name}", count, "images to score") as progress:
        fake = generate(generator, range(first, first + count), progress)
    report = evaluate(
        _real(held_out, experiment),
        fake,
        window=experiment.display_window,
        source_title=training_set.dataset.title,
        image_kind=training_set.dataset.image_kind,
        model_title=f"{experiment.name}, {run.manifest['images_seen']:,} images seen",
        reference=_real(reference, experiment),
        fake_classes=[class_of(seed, experiment) for seed in range(first, first + count)]
        if experiment.classes
        else (),
        features_of=KeptFeatures(store, training_set),
        extractor_names=(experiment.evaluation.extractor,),
        images=experiment.evaluation.images,
        seed=experiment.seed,
        snapshot=training_set.version,
        device=where,
        provenance={
            "experiment": experiment.name,
            "run": run.manifest["run"],
            "generator sha256": run.find(GENERATOR_FILE).sha256,
            "training set": f"{training_set.dataset.name} {training_set.version}",
            "licence of the source": training_set.dataset.licence,
            "seeds": f"{first} to {first + count - 1}",
        },
    )
    opponent = Opponent(
        fetch_discriminator(store, run, folder / "model", where),
        "the run is of a version that did not keep its discriminator",
        run.manifest["best_at"],
    )
    report = with_thesis(
        report,
        ThesisImages(held_out.images, held_out.classes),
        ThesisImages(fake, class_numbers(range(first, first + count), experiment)),
        ThesisImages(reference.images, reference.classes),
        opponent,
        experiment.seed,
    )
    out = folder / "report"
    gate = judge([asdict(row) for row in report.rows], experiment.release)
    report = replace(report, gate=gate, data=data_facts(training_set), run=run_facts(run))
    files = write_report(report, out, {name: store.read(run, name) for name in (CURVES, PROGRESS)})
    store.commit(
        manifest_key,
        {file.relative_to(out).as_posix(): file for file in files},
        {
            "kind": "metric-report",
            "experiment": experiment.name,
            "run": run.manifest["run"],
            "training_set": training_set.version,
            "spread": float(fake.std(dim=0).mean()),
            "text": report.as_text(),
        },
    )


def _slices(
    store: Store, training_set: TrainingSet, side: str, experiment: Experiment, folder: Path
) -> LoadedSlices:
    return load_slices(training_set.fetch(store, side, folder / side), experiment)


def _real(loaded: LoadedSlices, experiment: Experiment) -> RealImages:
    numbers = [] if loaded.classes is None else loaded.classes.tolist()
    return RealImages(loaded.images, loaded.patients, tuple(experiment.classes[at] for at in numbers))


def _read(store: Store, artefact: Artefact, version: str) -> StoredReport:
    return StoredReport(
        uri=store.uri(artefact.manifest_key),
        version=version,
        told={**json.loads(store.read(artefact, "report.json")), "text": artefact.manifest["text"]},
        spread=artefact.manifest["spread"],
        html=store.read(artefact, "report.html").decode(),
        pdf=store.read(artefact, PDF)
        if any(artefact.name(item) == PDF for item in artefact.objects)
        else b"",
        contact_sheet_png=store.read(artefact, CONTACT_SHEET),
    )
