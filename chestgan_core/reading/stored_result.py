"""The result of a reader study from store to store.

In: the newest answers about a set, and the key of their study. Out: `reading/results/<set>/<study>/<version>/` with
result.json, report.html, report.pdf, report.md, charts/ and tables/, and the pointer. The same answers give the same
version.
"""

from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.evaluation.reader_study import ReaderStudyBlock, read_summary
from chestgan_core.local.json_text import parse_json
from chestgan_core.reading.analysis.analyse import VERSION, analyse
from chestgan_core.reading.analysis.result import StudyResult
from chestgan_core.reading.answers import StudyAnswers
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.images.frozen_study import open_study, read_key
from chestgan_core.reading.pages.result_tables import answers_table, result_tables
from chestgan_core.reading.stored_answers import newest_answers
from chestgan_core.reading.study_key import StudyKey
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, canonical_json, content_version, parse_typed
from chestgan_core.store.store import Store

STEM = "report"
PAGE, PDF, DATA, CHARTS, TABLES = f"{STEM}.html", f"{STEM}.pdf", "result.json", "charts", "tables"
ANSWERS_TABLE = "answers.csv"
REMEDY = "materialize reader_study_result again"


@dataclass(frozen=True)
class StoredResult:
    """A committed result. charts: PNG by name (`roc.png`). tables: CSV by name. summary: for reports and cards."""

    uri: str
    version: str
    set_name: str
    result: StudyResult
    summary: ReaderStudyBlock
    html: str
    pdf: bytes
    charts: dict[str, bytes]
    tables: dict[str, str]


@dataclass(frozen=True)
class _SetFacts:
    model_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class _SetManifest:
    set: _SetFacts


def report_study(store: Store, set_name: str) -> StoredResult:
    """Analyse the newest answers about a set and commit the result.

    Raises NotInStore (no study about the set has closed; the study or the set of the answers is gone), DamagedObject,
    StoreError.
    """
    try:
        answers = newest_answers(store, set_name)
    except NotInStore as error:
        cause = "no reader study about it has closed, so there is nothing to analyse"
        raise NotInStore(
            f"set {set_name}", cause, "close a study in the portal, or score its offline files"
        ) from error
    study = open_study(store, answers.study, answers.version)
    key = read_key(store, study)
    version = content_version(VERSION, *(one.model_dump(mode="json") for one in (study.design, key, answers)))
    manifest_key = keys.reader_result_manifest(set_name, answers.study, version)
    if not store.is_complete(manifest_key):
        _commit(store, set_name, version, manifest_key, study.design, key, answers)
    pointer = {"study": answers.study, "version": version}
    store.update_pointer(keys.reader_result_latest(set_name), pointer)
    return _read(store, set_name, answers.study, version)


def read_result(store: Store, set_name: str) -> StoredResult:
    """The newest result about a set. Raises NotInStore, DamagedObject, StoreError."""
    try:
        study, version = store.read_pointer(keys.reader_result_latest(set_name), "study", "version")
    except NotInStore as error:
        raise NotInStore(f"set {set_name}", "has no result of a reader study", REMEDY) from error
    return _read(store, set_name, study, version)


def summary_of(set_name: str, model_sha256: str, version: str, result: StudyResult) -> ReaderStudyBlock:
    """What the metric report and the card show of a result."""
    roc, accuracy = result.roc, result.accuracy_over_readers
    area_ends = None if roc is None else roc.area.interval
    accuracy_ends = None if accuracy is None else accuracy.interval
    return ReaderStudyBlock(
        study=result.design.name,
        title=result.design.title,
        version=version,
        set_name=set_name,
        set_version=result.design.set_version,
        model_sha256=model_sha256,
        readers=0 if roc is None else roc.readers,
        real_images=0 if roc is None else roc.real_images,
        synthetic_images=0 if roc is None else roc.synthetic_images,
        area=None if roc is None else roc.area.value,
        area_ends=None if area_ends is None else (area_ends.low, area_ends.high),
        accuracy=None if accuracy is None else accuracy.value,
        accuracy_ends=None if accuracy_ends is None else (accuracy_ends.low, accuracy_ends.high),
        told_apart=result.finding.told_apart,
        finding=result.finding.title,
    )


def _commit(
    store: Store,
    set_name: str,
    version: str,
    manifest_key: str,
    design: StudyDesign,
    key: StudyKey,
    answers: StudyAnswers,
) -> None:
    # Here, as matplotlib and reportlab take a second to load, and servers read results without drawing them.
    from chestgan_core.documents.files import document_files
    from chestgan_core.reading.pages.result_charts import draw_charts
    from chestgan_core.reading.pages.result_page import result_document

    what = store.uri(keys.reader_answers_latest(set_name))
    if design.set_name != set_name:
        raise DamagedObject(what, f"names answers about the set {design.set_name}", "close the study again")
    try:
        result = analyse(design, key, answers)
    except BadInput as error:
        raise DamagedObject(what, f"{error.what} {error.cause}", "close the study again") from error
    set_key = keys.set_manifest(design.set_name, design.set_version)
    _, published = store.read_typed(set_key, _SetManifest, REMEDY, "the manifest of a set")
    charts = draw_charts(result)
    document = result_document(result, charts)
    pictures = {f"{CHARTS}/{name}": png for name, png in charts.items()}
    tables = result_tables(result) | {ANSWERS_TABLE: answers_table(key, answers)}
    files = {
        DATA: canonical_json(result.model_dump(mode="json")),
        **document_files(document, STEM, pictures),
        **pictures,
        **{f"{TABLES}/{name}": text.encode() for name, text in tables.items()},
    }
    summary = summary_of(set_name, published.set.model_sha256, version, result)
    manifest = {
        "kind": "reader-study-result",
        "set": set_name,
        "study": answers.study,
        "study_version": answers.version,
        "summary": asdict(summary),
    }
    store.commit(manifest_key, files, manifest)


def read_numbers(store: Store, artefact: Artefact) -> StudyResult:
    """The numbers alone, of an artefact below reading/results. Raises DamagedObject, StoreError."""
    where = f"{store.uri(artefact.manifest_key)}: {DATA}"
    fields = parse_json(store.read(artefact, DATA), where, REMEDY)
    return parse_typed(StudyResult, fields, where, REMEDY, "the result of a reader study")


def _read(store: Store, set_name: str, study: str, version: str) -> StoredResult:
    summary = read_summary(store, set_name, study, version)
    artefact = store.read_manifest(keys.reader_result_manifest(set_name, study, version))
    names = [artefact.name(item) for item in artefact.objects]

    def inside(folder: str) -> dict[str, bytes]:
        found = [name for name in names if name.startswith(f"{folder}/")]
        return {name.removeprefix(f"{folder}/"): store.read(artefact, name) for name in found}

    return StoredResult(
        uri=store.uri(artefact.manifest_key),
        version=version,
        set_name=set_name,
        result=read_numbers(store, artefact),
        summary=summary,
        html=store.read(artefact, PAGE).decode(),
        pdf=store.read(artefact, PDF),
        charts=inside(CHARTS),
        tables={name: data.decode() for name, data in inside(TABLES).items()},
    )
