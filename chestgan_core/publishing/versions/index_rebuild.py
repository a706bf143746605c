"""Rebuild the index from the manifests in the store: it may be lost, and sets may be deleted.

In: the store. Out: synthetic/index.json, and what it says.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.versions.index import SetEntry, replace_index
from chestgan_core.publishing.versions.status import stored_entry
from chestgan_core.store import keys
from chestgan_core.store.artefacts import content_version
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.store import Store


@dataclass(frozen=True)
class RebuiltIndex:
    """version: 16 hex of the content. damaged: addresses of manifests that cannot be read; their sets are
    not listed."""

    uri: str
    version: str
    entries: tuple[SetEntry, ...]
    damaged: tuple[str, ...]


def rebuild_index(store: Store) -> RebuiltIndex:
    """List every committed version of every set. Entries keep their order; those without a manifest are removed. Those
    that were withdrawn stay listed, and say so.

    Sets that others publish at the same time stay listed.
    """
    damaged: list[str] = []

    def entry(key: str) -> SetEntry | None:
        try:
            return stored_entry(store, key)
        except DamagedObject:
            damaged.append(store.uri(key))
        except NotInStore:
            pass  # deleted since it was listed
        return None

    def find() -> list[SetEntry]:
        damaged.clear()
        listed = [item.key for item in store.list(keys.sets_prefix())]
        manifests = [key for key in listed if key.endswith(f"/{keys.MANIFEST}")]
        with (
            Progress("synthetic_set_index", len(manifests), "sets") as progress,
            ThreadPoolExecutor(PARALLEL) as pool,
        ):
            found = []
            for one in pool.map(entry, manifests):
                found += [one] if one else []
                progress.step()
        return found

    entries = tuple(replace_index(store, find))
    version = content_version([entry.as_json() for entry in entries])
    return RebuiltIndex(store.uri(keys.set_index()), version, entries, tuple(sorted(damaged)))
