"""The newest report of every experiment in the store, as far as it can be read.

In: the store, and the names of experiments that somebody knows. Out: Newest. Pointers, manifests, report.json and the
grid of synthetic images are read, of all experiments at once; no real image is. What cannot be read stops nothing.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.evaluation.pages.figures import SYNTHETIC_GRID
from chestgan_core.evaluation.scoring.read_report import ReadReport, read_report
from chestgan_core.store import keys
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.store import Store


@dataclass(frozen=True)
class Entry(ReadReport):
    """The newest report of an experiment. day: YYYY-MM-DD (UTC) of its commit. samples: synthetic images, PNG."""

    day: str
    samples: bytes = field(repr=False)


@dataclass(frozen=True)
class Unreadable:
    """A report that cannot be read, or that a patient's withdrawal removed. reason: one line."""

    experiment: str
    reason: str


@dataclass(frozen=True)
class Newest:
    """By name. trained: experiments with a run and without a report. untrained: known ones with neither."""

    entries: tuple[Entry, ...]
    unreadable: tuple[Unreadable, ...]
    trained: tuple[str, ...]
    untrained: tuple[str, ...]


def newest_entries(store: Store, known: Iterable[str]) -> Newest:
    """Every experiment once. known: such as those with a file on this machine. Raises StoreError: no answer."""
    reported = _named_below(store, keys.reports_prefix())
    trained = _named_below(store, keys.runs_prefix()) - reported
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = list(pool.map(lambda name: _entry(store, name), sorted(reported)))
    return Newest(
        entries=tuple(one for one in found if isinstance(one, Entry)),
        unreadable=tuple(one for one in found if isinstance(one, Unreadable)),
        trained=tuple(sorted(trained)),
        untrained=tuple(sorted(set(known) - trained - reported)),
    )


def _named_below(store: Store, prefix: str) -> set[str]:
    """The experiments with a pointer: `demo` of reports/demo/latest.json."""
    listed = [item.key.removeprefix(prefix).split("/") for item in store.list(prefix)]
    return {parts[0] for parts in listed if parts[1:] == [keys.POINTER]}


def _entry(store: Store, name: str) -> Entry | Unreadable:
    try:
        run, version = store.read_pointer(keys.report_latest(name), "run", "version")
        key = keys.report_manifest(name, run, version)
        artefact = store.read_manifest(key)
        return Entry(
            **vars(read_report(store, name, version, artefact)),
            day=f"{store.written_at(key):%Y-%m-%d}",
            samples=store.read(artefact, f"figures/{SYNTHETIC_GRID}"),
        )
    except (BadInput, DamagedObject, NotInStore) as error:
        return Unreadable(name, error.cause)
