"""The index of all published sets: synthetic/index.json, a pointer moved by conditional puts.

In: an entry. Out: the list of entries. Concurrent publishers do not overwrite each other's entries. The index is for
people and programs that look for sets; which sets exist is decided by the manifests alone.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.local.json_text import parse_json
from chestgan_core.publishing.fields import Name, NotNegative, Positive, Sha256, Text
from chestgan_core.publishing.reader.manifest import CONDITIONS
from chestgan_core.publishing.reader.set_folder import SetFolder, parse_set
from chestgan_core.store import keys
from chestgan_core.store.artefacts import folder_of, parse_typed
from chestgan_core.store.store import Store

PROVENANCE = "provenance.json"
_MAX_PROVENANCE_BYTES = 8 * 2**20


@dataclass(frozen=True)
class SetEntry:
    """One published version of a set, with what people look for.

    resolution: pixels. bytes: of all its files. manifest: key of its manifest. bits: of a pixel. classes: how many
    images each has, empty where the set has none. conditions: what the generator was told, as in the manifest.
    dataset, network: of the training, by name; empty where the set does not say. state, reason, replacement: as in
    its status (status.py).
    """

    name: Name
    version: Name
    images: Positive
    resolution: Positive
    bytes: NotNegative
    source_title: Text
    model_sha256: Sha256
    manifest: Text
    bits: Literal[8, 16] = 8
    experiment: Text = ""
    dataset: Text = ""
    network: Text = ""
    classes: Annotated[dict[Text, NotNegative], Field(max_length=10_000)] = field(
        default_factory=dict, hash=False
    )
    conditions: Annotated[tuple[Text, ...], Field(max_length=len(CONDITIONS))] = ()
    state: Literal["published", "deprecated", "withdrawn"] = "published"
    reason: Text = ""
    replacement: Text = ""

    @property
    def withdrawn(self) -> str:
        """Why it was withdrawn, empty where it was not."""
        return self.reason if self.state == "withdrawn" else ""

    @property
    def deprecated(self) -> str:
        """Why it should not be used for new work, empty where it may be."""
        return self.reason if self.state == "deprecated" else ""

    @property
    def folder(self) -> str:
        """Key of the folder of this version."""
        return folder_of(self.manifest).rstrip("/")

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class SetIndex:
    """The content of synthetic/index.json."""

    kind: Literal["synthetic-set-index"]
    sets: list[SetEntry]


def entry_of(folder: SetFolder, provenance: bytes = b"") -> SetEntry:
    """The line of a set in the index. provenance: the set's provenance.json, which names dataset and network."""
    dataset, network = _trained_with(provenance)
    return SetEntry(
        name=folder.facts.name,
        version=folder.version,
        images=folder.images,
        resolution=folder.facts.resolution,
        bytes=folder.bytes,
        source_title=folder.facts.source_title,
        model_sha256=folder.facts.model_sha256,
        manifest=folder.manifest_key,
        bits=folder.facts.bits,
        experiment=folder.facts.experiment,
        dataset=dataset,
        network=network,
        classes=folder.facts.images_per_class,
        conditions=folder.facts.conditions,
    )


def _trained_with(provenance: bytes) -> tuple[str, str]:
    """Dataset and network of a provenance.json; empty where it does not say: they are words to search for, no more."""
    try:
        said = parse_json(provenance, PROVENANCE, "publish the set again")
    except DamagedObject:
        return "", ""
    facts: Any = said.get("provenance")
    source = facts.get("source_facts") if isinstance(facts, dict) else None
    network = said.get("network")
    found = (
        source.get("dataset") if isinstance(source, dict) else "",
        network.get("family") if isinstance(network, dict) else "",
    )
    dataset, family = (text[:128] if isinstance(text, str) else "" for text in found)
    return dataset, family


def read_entry(store: Store, manifest_key: str) -> SetEntry:
    """The line of a committed set, from its manifest and provenance. Raises NotInStore, DamagedObject."""
    where = store.uri(manifest_key)
    found = parse_set(store.get_bytes(manifest_key), Path(), where)
    if found.manifest_key != manifest_key:
        raise DamagedObject(where, "is the manifest of another set or version", "delete it")
    provenance = b""
    for item in found.objects:
        if found.name(item) == PROVENANCE and item.bytes <= _MAX_PROVENANCE_BYTES:
            with suppress(NotInStore, DamagedObject):
                provenance = store.get_bytes(item.key, item.sha256)
    return entry_of(found, provenance)


def read_index(store: Store) -> list[SetEntry]:
    """All published versions by name, those of one name in the order in which they were listed; empty at first."""
    try:
        index, _ = store.get_pointer(keys.set_index())
    except NotInStore:
        return []
    return _entries(index, store)


def add_to_index(store: Store, entry: SetEntry) -> None:
    """Add one entry, whoever else is adding theirs; one that is listed already changes nothing."""

    def with_entry(index: dict[str, Any]) -> dict[str, Any]:
        entries = _entries(index, store)
        listed = any(_version(one) == _version(entry) for one in entries)
        return _as_json(entries if listed else [*entries, entry])

    store.change_pointer(keys.set_index(), with_entry)


def change_entry(store: Store, name: str, version: str, change: Callable[[SetEntry], SetEntry]) -> None:
    """Change the entry of one version, whoever else is changing theirs; where it is not listed, nothing."""

    def with_change(index: dict[str, Any]) -> dict[str, Any]:
        entries = _entries(index, store)
        return _as_json([change(one) if _version(one) == (name, version) else one for one in entries])

    store.change_pointer(keys.set_index(), with_change)


def replace_index(store: Store, find: Callable[[], Sequence[SetEntry]]) -> list[SetEntry]:
    """Make the index list what find() finds and nothing else; entries that it had stay in their order.

    find is called after the index was read, and again if another publisher changed it meanwhile: what that publisher
    lists was committed before, so it is found.
    """

    def with_found(index: dict[str, Any]) -> dict[str, Any]:
        found = {_version(entry): entry for entry in find()}
        there = map(_version, _entries(index, store))
        listed = [found.pop(version) for version in there if version in found]
        return _as_json([*listed, *found.values()])

    return _entries(dict(store.change_pointer(keys.set_index(), with_found)), store)


def _version(entry: SetEntry) -> tuple[str, str]:
    return entry.name, entry.version


def _as_json(entries: list[SetEntry]) -> dict[str, Any]:
    return asdict(SetIndex("synthetic-set-index", entries))


def _entries(index: dict[str, Any], store: Store) -> list[SetEntry]:
    if not index:  # there is none yet
        return []
    where = store.uri(keys.set_index())
    remedy = "delete it and materialize synthetic_set_index"
    sets = parse_typed(SetIndex, index, where, remedy, "an index of sets").sets
    return sorted(sets, key=lambda entry: entry.name)
