"""Hyperparameter studies as the page of results shows them."""

from dataclasses import dataclass
from typing import Any

from chestgan_core.local.parquet import read_parquet
from chestgan_core.store import keys
from chestgan_core.store.artefacts import AGAIN, Artefact, folder_of
from chestgan_core.store.store import Store
from chestgan_portal.public.newest import names_below, readable

MAX_TRIALS = 200  # rows of a study's table
_MAX_TABLE = 16 * 2**20  # bytes


@dataclass(frozen=True)
class _Trial:
    trial: int
    kid: float | None
    drawn: dict[str, Any]


@dataclass(frozen=True)
class StudyFacts:
    """The manifest of a hyperparameter study, as far as it is shown; see chestgan_core/tuning/manifest.py."""

    study: str
    training_set: str
    extractor: str
    held_out_images: int
    floor: float
    trials: int
    pruned: int
    failed: int
    best: _Trial | None
    initial: _Trial | None
    importances: dict[str, float]
    summary: list[str]


@dataclass(frozen=True)
class ShownStudy:
    """folder: of its files. figures: names of its charts. columns, rows: of the first MAX_TRIALS trials."""

    experiment: str
    folder: str
    facts: StudyFacts
    figures: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def studies(store: Store) -> list[ShownStudy]:
    """The newest study of each experiment."""
    return readable(names_below(store, "studies/"), lambda name: _study(store, name))


def _study(store: Store, experiment: str) -> ShownStudy:
    study, version = store.read_pointer(keys.study_latest(experiment), "study", "version")
    key = keys.study_manifest(experiment, study, version)
    artefact, facts = store.read_typed(key, StudyFacts, what="the manifest of a study")
    names = [artefact.name(item) for item in artefact.objects]
    columns, rows = _trials(store, artefact)
    return ShownStudy(
        experiment=experiment,
        folder=folder_of(key).rstrip("/"),
        facts=facts,
        figures=tuple(name for name in names if name.startswith("figures/") and name.endswith(".png")),
        columns=columns,
        rows=rows,
    )


def _trials(store: Store, artefact: Artefact) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    item = artefact.find("trials.parquet")
    if item.bytes > _MAX_TABLE:
        return (), ()
    where = store.uri(item.key)
    table = read_parquet(store.get_bytes(item.key, item.sha256), where, AGAIN).slice(0, MAX_TRIALS)
    shown = [name for name in table.column_names if name not in ("validations", "steps")]
    rows = tuple(tuple(row[name] for name in shown) for row in table.to_pylist())
    return tuple(shown), rows
