"""The index made anew from the manifests in the store, for the day on which it was lost or a set was deleted.

In: the store. Out: synthetic/index.json, and what it says.
"""

from dataclasses import dataclass
from pathlib import Path

from chestgan_core import layout
from chestgan_core.artefacts import canonical_json, sha256_of
from chestgan_core.publishing.index import SetEntry, replace_index
from chestgan_core.publishing.sets import entry_of, parse_set
from chestgan_core.store import Store


@dataclass(frozen=True)
class RebuiltIndex:
    """version: 16 hex of the content."""

    uri: str
    version: str
    entries: tuple[SetEntry, ...]


def rebuild_index(store: Store) -> RebuiltIndex:
    """List every committed version of every set. Entries keep their order; those without a manifest go.

    Raises DamagedObject for a manifest that is none.
    """
    found = []
    for item in store.list("synthetic/"):
        if item.key.endswith(f"/{layout.MANIFEST}"):
            found.append(entry_of(parse_set(store.get_bytes(item.key), Path(item.key).parent)))
    entries = tuple(replace_index(store, found))
    version = sha256_of(canonical_json({"sets": [entry.as_json() for entry in entries]}))[:16]
    return RebuiltIndex(store.uri(layout.set_index()), version, entries)
