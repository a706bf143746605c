"""The metric report of an experiment from store to store.

In: the newest run of an experiment and the training set it was trained on. Out:
`reports/<experiment>/<run>/<version>/` with report.json, report.html, report.pdf, report.md and figures, and the
pointer.

The version names what scored the images, the release rules, and the reader study of the same generator where there is
one. When only the rules or the study change, nothing is scored again: the gate is applied to the stored rows, and its
result is committed as a report of its own. So a report always shows the result of the rules that it was made with.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import DamagedObject, Forgotten, NotInStore
from chestgan_core.evaluation.pages.figures import CONTACT_SHEET, PLACED
from chestgan_core.evaluation.pages.report_page import (
    CURVES,
    FIGURES,
    PAGE,
    PDF,
    PROGRESS,
    write_pages,
    write_report,
)
from chestgan_core.evaluation.reader_study import ReaderStudyBlock, newest_reader_study
from chestgan_core.evaluation.scoring.gate import experiment_gate
from chestgan_core.evaluation.scoring.provenance import data_facts, run_facts
from chestgan_core.evaluation.scoring.read_report import (
    REMEDY,
    NewestReport,
    newest_report,
    read_payload,
    require_report,
)
from chestgan_core.evaluation.scoring.report_payload import RunReport
from chestgan_core.evaluation.scoring.score_run import opened_extractors, score_run
from chestgan_core.evaluation.thesis.measuring import instruments
from chestgan_core.evaluation.version import VERSION
from chestgan_core.metrics.feature_extractors import Extractor
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, content_version, parse_typed
from chestgan_core.store.forgotten import keep_unless_forgotten
from chestgan_core.store.store import Store
from chestgan_core.training.run import newest_run
from chestgan_core.training.run_manifest import GENERATOR_FILE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredReport:
    """A committed report.

    spread: mean over pixels of the standard deviation between the synthetic images; 0 where all are the same.
    tumours_png: asked tumours and what the detector finds; None of an experiment that places none.
    """

    uri: str
    version: str
    payload: RunReport
    spread: float
    html: str
    pdf: bytes
    contact_sheet_png: bytes
    tumours_png: bytes | None = None


@dataclass(frozen=True)
class _Manifest:
    """scoring: names what the rows depend on, see _scoring."""

    experiment: str
    run: str
    training_set: str
    scoring: str
    spread: float
    kind: str = "metric-report"


def report_experiment(store: Store, experiment: Experiment, device: str, folder: Path) -> StoredReport:
    """Score the newest run on patients that it was not trained on. Equal runs and settings are scored once.

    The images are those of the published set: same generator, same seeds, same grey levels. Raises NotInStore (also
    where the newest run was trained with other settings), Forgotten (a patient withdrew meanwhile), DamagedObject,
    StoreError.
    """
    name, run = newest_run(store, experiment)
    extractors = opened_extractors(experiment, device)
    scoring = _scoring(run, experiment, extractors)
    study = newest_reader_study(store, experiment.name, run.find(GENERATOR_FILE).sha256)
    version = content_version(
        scoring, experiment.release.model_dump(mode="json"), None if study is None else study.version
    )
    manifest_key = keys.report_manifest(experiment.name, name, version)
    if store.head(manifest_key) is not None:
        log.info("metric_report %s: run %s is scored already", experiment.name, name)
    elif scored := _scored(store, experiment, scoring):
        log.info(
            "metric_report %s: only release rules or the reader study changed; the rows of %s are used",
            experiment.name,
            scored.version,
        )
        _apply_rules(store, experiment, run, scored, study, manifest_key, folder)
    else:
        _score(store, experiment, run, extractors, scoring, study, manifest_key, device, folder)
    store.update_pointer(keys.report_latest(experiment.name), {"run": name, "version": version})
    return _read(store, NewestReport(name, version, store.read_manifest(manifest_key)))


def latest_report(store: Store, experiment: str) -> StoredReport:
    """The newest report of an experiment.

    Args:
        store: an open store.
        experiment: name of the experiment.

    Returns:
        Its payload (rows, gate, provenance), pages and contact sheet.

    Raises:
        NotInStore: the experiment has no report.
        DamagedObject: the report is not as expected, such as one of another version.
        StoreError: the store does not answer.

    Examples:
        >>> report = latest_report(Store.open("s3://bucket/prefix"), "demo")  # doctest: +SKIP
        >>> report.payload.row("KID").value  # not times 1000  # doctest: +SKIP
        0.183
    """
    return _read(store, require_report(store, experiment))


def fetch_report(store: Store, experiment: str, folder: Path) -> StoredReport:
    """The files of the newest report, each verified. Raises NotInStore, DamagedObject, BadInput (the folder)."""
    newest = require_report(store, experiment)
    store.fetch(newest.artefact, folder)
    return _read(store, newest)


def _scoring(run: Artefact, experiment: Experiment, extractors: Sequence[Extractor | str]) -> str:
    """Names what decides the rows: weights, settings, seeds, code, and the networks that measure or their absence."""
    return content_version(
        run.sha256,
        experiment.evaluation.model_dump(mode="json"),
        experiment.publication.first_seed,
        experiment.publication.bits,
        experiment.publication.tumour_fraction,
        ["not available" if isinstance(one, str) else one.id for one in extractors],
        instruments(),
        VERSION,
    )


def _scored(store: Store, experiment: Experiment, scoring: str) -> NewestReport | None:
    """The newest report, if only its release rules or reader study differ; one that cannot be read is not used."""
    try:
        newest = newest_report(store, experiment.name)
        return newest if newest and _manifest(store, newest).scoring == scoring else None
    except (DamagedObject, NotInStore):
        return None


def _apply_rules(
    store: Store,
    experiment: Experiment,
    run: Artefact,
    scored: NewestReport,
    study: ReaderStudyBlock | None,
    manifest_key: str,
    folder: Path,
) -> None:
    """Commit the rows and figures of a report with the present release rules and reader study."""
    report = read_payload(store, scored.artefact)
    report = replace(report, gate=experiment_gate(report.rows, experiment), reader_study=study)
    names = [scored.artefact.name(item) for item in scored.artefact.objects]
    figures = {
        name.removeprefix(f"{FIGURES}/"): store.read(scored.artefact, name)
        for name in names
        if name.startswith(f"{FIGURES}/")
    }
    out = folder / "report"
    pages = write_pages(report, figures, out, _training_pictures(store, run))
    files: dict[str, Path | bytes] = {f"{FIGURES}/{name}": png for name, png in figures.items()}
    files |= {file.relative_to(out).as_posix(): file for file in pages}
    manifest = _manifest(store, scored)
    store.commit(manifest_key, files, asdict(manifest))
    _keep(store, manifest_key, experiment.dataset, manifest.training_set)


def _score(
    store: Store,
    experiment: Experiment,
    run: Artefact,
    extractors: Sequence[Extractor | str],
    scoring: str,
    study: ReaderStudyBlock | None,
    manifest_key: str,
    device: str,
    folder: Path,
) -> None:
    scored = score_run(store, experiment, run, extractors, device, folder)
    report = replace(
        scored.report,
        gate=experiment_gate(scored.report.rows, experiment),
        data=data_facts(scored.training_set),
        run=run_facts(run, store.uri(run.manifest_key)),
        reader_study=study,
    )
    out = folder / "report"
    files = write_report(report, out, _training_pictures(store, run))
    manifest = _Manifest(
        experiment=experiment.name,
        run=scored.run,
        training_set=scored.training_set.version,
        scoring=scoring,
        spread=scored.spread,
    )
    store.commit(manifest_key, {file.relative_to(out).as_posix(): file for file in files}, asdict(manifest))
    _keep(store, manifest_key, experiment.dataset, scored.training_set.version)


def _keep(store: Store, manifest_key: str, dataset: str, training_set: str) -> None:
    """Raises Forgotten: a patient of the training set withdrew meanwhile; the report and the features are gone."""
    try:
        keep_unless_forgotten(store, manifest_key, [keys.training_set_manifest(dataset, training_set)])
    except Forgotten:
        for item in list(store.list(f"{keys.features_prefix(dataset)}{training_set}/")):
            store.delete(item.key)
        raise


def _training_pictures(store: Store, run: Artefact) -> dict[str, bytes]:
    return {name: store.read(run, name) for name in (CURVES, PROGRESS)}


def _manifest(store: Store, report: NewestReport) -> _Manifest:
    where = store.uri(report.artefact.manifest_key)
    return parse_typed(_Manifest, report.artefact.manifest, where, REMEDY, "the manifest of a report")


def _read(store: Store, report: NewestReport) -> StoredReport:
    artefact, placed = report.artefact, f"{FIGURES}/{PLACED}"
    names = {artefact.name(item) for item in artefact.objects}
    return StoredReport(
        uri=store.uri(artefact.manifest_key),
        version=report.version,
        payload=read_payload(store, artefact),
        spread=_manifest(store, report).spread,
        html=store.read(artefact, PAGE).decode(),
        pdf=store.read(artefact, PDF),
        contact_sheet_png=store.read(artefact, f"{FIGURES}/{CONTACT_SHEET}"),
        tumours_png=store.read(artefact, placed) if placed in names else None,
    )
