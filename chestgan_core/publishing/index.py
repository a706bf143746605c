"""The index of all published sets: synthetic/index.json, a pointer moved by conditional puts.

In: an entry. Out: the list of entries. Of two publishers at once neither loses the other's entry. The index
is for people and programs that look for sets; what exists is decided by the manifests alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.store import keys
from chestgan_core.store.artefacts import folder_of
from chestgan_core.store.store import Store


@dataclass(frozen=True)
class SetEntry:
    """One published version of a set. bytes: of all its files. manifest: key of its manifest."""

    name: str
    version: str
    images: int
    resolution: int
    bytes: int
    source_title: str
    model_sha256: str
    manifest: str

    @property
    def folder(self) -> str:
        """Key of the folder of this version."""
        return folder_of(self.manifest).rstrip("/")

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def read_index(store: Store) -> list[SetEntry]:
    """All published versions by name, those of one name in the order in which they were listed; empty at first."""
    try:
        index, _ = store.get_pointer(keys.set_index())
    except NotInStore:
        return []
    return _entries(index, store)


def add_to_index(store: Store, entry: SetEntry) -> None:
    """Add one entry, whoever else is adding theirs; one that is there already changes nothing."""

    def with_entry(index: dict[str, Any]) -> dict[str, Any]:
        entries = _entries(index, store)
        added = entries if entry in entries else [*entries, entry]
        return {"kind": "synthetic-set-index", "sets": [one.as_json() for one in added]}

    store.change_pointer(keys.set_index(), with_entry)


def replace_index(store: Store, find: Callable[[], Sequence[SetEntry]]) -> list[SetEntry]:
    """Make the index list what find() finds and nothing else; entries that it had keep their order.

    find is called after the index was read, and again when another publisher changed it meanwhile: what that
    publisher lists was committed before, so it is found.
    """

    def with_found(index: dict[str, Any]) -> dict[str, Any]:
        found = find()
        kept = [entry for entry in _entries(index, store) if entry in found]
        entries = [*kept, *(entry for entry in found if entry not in kept)]
        return {"kind": "synthetic-set-index", "sets": [one.as_json() for one in entries]}

    return _entries(dict(store.change_pointer(keys.set_index(), with_found)), store)


def _entries(index: dict[str, Any], store: Store) -> list[SetEntry]:
    try:
        entries = [SetEntry(**told) for told in index.get("sets", [])]
    except TypeError as error:
        where = store.uri(keys.set_index())
        raise DamagedObject(
            where, "is no index of sets", "delete it and materialize synthetic_set_index"
        ) from error
    return sorted(entries, key=lambda entry: entry.name)
