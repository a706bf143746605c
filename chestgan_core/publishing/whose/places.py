"""Where in a store an image is published: by what its file says, or by the sha256 of its levels.

In: a store, an image. Out: the versions of sets that list it, and where in them. Sets whose labels cannot be read (of
an older format, or removed by the retention rule) are named, not passed over in silence.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.layouts.layout import Layout
from chestgan_core.publishing.reader.labels import labels_of_parquet
from chestgan_core.publishing.reader.levels import Bits
from chestgan_core.publishing.reader.set_folder import LABELS, SetFolder, parse_set
from chestgan_core.publishing.versions.index import SetEntry, read_index
from chestgan_core.publishing.whose.given import Given
from chestgan_core.publishing.writing.asked import layout_of_label
from chestgan_core.store.store import Store

_STATES = ("published", "deprecated", "withdrawn")


@dataclass(frozen=True)
class Place:
    """Image `index` of one version of a set. entry: of the index, with what its publisher says of the version. layout:
    what its label says that it was asked to show.
    """

    entry: SetEntry
    index: int
    seed: int
    shown: str
    layout: Layout
    bits: Bits


@dataclass(frozen=True)
class Places:
    """found: the best first: published before deprecated before withdrawn, newest first. unread: `<set>/<version>` of
    versions that could have it and whose labels could not be read.
    """

    found: tuple[Place, ...]
    unread: tuple[str, ...]


def find_places(store: Store, given: Given) -> Places:
    """Every version in the store that lists the image. Downloads the labels of sets of its size, one by one.

    Raises DamagedObject (the index is none), StoreError.
    """
    entries = [
        entry for entry in read_index(store) if entry.resolution == given.side and entry.bits in given.sha256
    ]
    found: list[Place] = []
    unread: list[str] = []
    for entry in reversed(entries):  # newest first among those of one name
        try:
            found += _in_version(store, entry, given)
        except (DamagedObject, NotInStore):
            unread.append(f"{entry.name}/{entry.version}")
    return Places(tuple(sorted(found, key=lambda place: _STATES.index(place.entry.state))), tuple(unread))


def claimed_entry(store: Store, given: Given) -> SetEntry | None:
    """The version that the file says it is of, if the store has it."""
    facts = given.facts
    if facts is None:
        return None
    entries = (
        entry for entry in read_index(store) if (entry.name, entry.version) == (facts.set, facts.version)
    )
    return next(entries, None)


def _in_version(store: Store, entry: SetEntry, given: Given) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="chestgan-whose-") as scratch:
        folder = _read_labels(store, entry, Path(scratch))
        labels = labels_of_parquet(folder)
        wanted = given.sha256.get(folder.facts.bits)
        for k, sha256 in enumerate(labels.sha256):
            if sha256 == wanted:
                row = labels[k]
                yield Place(entry, k, row["seed"], row["class"], layout_of_label(row), folder.facts.bits)


def _read_labels(store: Store, entry: SetEntry, folder: Path) -> SetFolder:
    """The manifest of a version, and its labels in a folder. Raises NotInStore, DamagedObject."""
    found = parse_set(store.get_bytes(entry.manifest), folder, store.uri(entry.manifest))
    for item in found.objects:
        if found.name(item) == LABELS:
            store.get_file(item.key, found.file(item), item.sha256)
    return found
