"""The pages that the pipeline writes, newest of each: reports, comparisons, leaderboard, months, studies.

In: the store. Out: what each pointer below their prefixes points to, with the names of its pages; nothing is fetched.
What cannot be read is listed too, with the reason. Imports nothing heavy.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.store import keys
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.store import Store

# Pages of an artefact; its pictures and tables are linked or contained there.
_SHOWN = (".html", ".pdf")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Family:
    """A kind of artefact. names: what its pointer says. manifest: the key, from the pointed name and those."""

    name: str
    prefix: str
    names: tuple[str, ...]
    manifest: Callable[..., str]


FAMILIES = (
    Family("report", keys.reports_prefix(), ("run", "version"), keys.report_manifest),
    Family("comparison", "comparisons/", ("version",), keys.comparison_manifest),
    Family(
        "leaderboard",
        keys.leaderboards_prefix(),
        ("version",),
        lambda _, version: keys.leaderboard_manifest(version),
    ),
    Family("month", "reports-monthly/", ("version",), keys.month_manifest),
    Family("study", "studies/", ("study", "version"), keys.study_manifest),
)


@dataclass(frozen=True)
class NewestFiles:
    """subject: the experiment, the comparison or the month. folder: of the manifest, without a slash at its end.

    files: names of its pages, below folder. at: when it was committed, UTC. fault: why it cannot be read, or "".
    """

    family: str
    subject: str
    version: str = ""
    folder: str = ""
    files: tuple[str, ...] = ()
    at: datetime | None = None
    fault: str = ""


def newest_files(store: Store, families: tuple[Family, ...] = FAMILIES) -> list[NewestFiles]:
    """By family, then subject. A few small requests for each, several at once. Raises StoreError: no answer."""
    found: list[NewestFiles] = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        for family in families:
            end = f"/{keys.POINTER}"
            listed = [item.key for item in store.list(family.prefix) if item.key.endswith(end)]
            subjects = sorted(key.removeprefix(family.prefix).removesuffix(end) for key in listed)
            found += pool.map(lambda subject, family=family: _newest(store, family, subject), subjects)
    return found


def _newest(store: Store, family: Family, subject: str) -> NewestFiles:
    try:
        pointed = store.read_pointer(
            f"{family.prefix}{keys.checked_name(subject)}/{keys.POINTER}", *family.names
        )
        key = family.manifest(subject, *pointed)
        artefact = store.read_manifest(key)
        names = map(artefact.name, artefact.objects)
        return NewestFiles(
            family.name,
            subject,
            pointed[-1],
            key.removesuffix(f"/{keys.MANIFEST}"),
            tuple(sorted(name for name in names if name.endswith(_SHOWN))),
            store.written_at(key),
        )
    except (BadInput, DamagedObject, NotInStore) as error:
        log.warning("%s of %s: %s", family.name, subject, error)
        return NewestFiles(family.name, subject, fault=error.cause)
