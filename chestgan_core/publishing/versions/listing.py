"""List, search and show published sets.

In: a store. Out: entries of the index, and manifests with their cards.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chestgan_core.errors import NotInStore, nearest
from chestgan_core.publishing.reader.set_folder import CARD
from chestgan_core.publishing.versions.finding import find_set
from chestgan_core.publishing.versions.index import SetEntry, read_index
from chestgan_core.publishing.versions.status import status_of
from chestgan_core.store.artefacts import folder_of
from chestgan_core.store.store import Store


def list_sets(store: Store) -> list[SetEntry]:
    """All published versions of all sets.

    Args:
        store: The store, for instance `Store.open()`, the one that `CHESTGAN_STORE` names.

    Returns:
        Entries sorted by name; versions of one name in the order in which they were first published. Empty in a store
        without sets.

    Raises:
        DamagedObject: synthetic/index.json is not an index.
        StoreError: The store refused, or did not answer.

    Examples:
        >>> from chestgan_core.publishing.versions.listing import list_sets
        >>> from chestgan_core.store.store import Store
        >>> for entry in list_sets(Store.open()):
        ...     print(entry.name, entry.images, entry.resolution)  # images, pixels
        demo 20 64
        lung-dcgan-64-classes 30 64
    """
    return read_index(store)


_VERSION = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True)
class _Searched:
    entry: SetEntry
    words: tuple[str, ...]


def search_sets(store: Store, words: Sequence[str]) -> list[SetEntry]:
    """Versions that fit every word, the best first.

    A word is looked for, in upper or lower case, in the name of the set and of its experiment, the title of the
    source, the dataset, the network, the classes, the conditions (and `boxes`), the version; a number is also the
    resolution in pixels or the bits of a pixel (`256`, `256px`, `16bit`). A word that is the whole of one of these
    counts more than a part of one.

    Raises NotInStore where nothing fits; it names the words most like those that were not found. DamagedObject,
    StoreError.
    """
    searched = [_Searched(entry, _words_of(entry)) for entry in read_index(store)]
    asked = [word.lower() for word in words]
    found = [one for one in searched if all(_score(word, one.words) for word in asked)]
    if not found:
        strange = [word for word in asked if not any(_score(word, one.words) for one in searched)]
        known = {
            part for one in searched for text in one.words for part in (text, *re.split(r"[\s_-]+", text))
        }
        known = {part for part in known if re.search("[a-z]{2}", part) and not _VERSION.fullmatch(part)}
        what = " ".join(strange or asked)
        remedy = nearest(strange[0], known) if strange else "leave out a word: no set has all of them"
        raise NotInStore("the search", f"found no set with {what}", remedy)
    found.sort(key=lambda one: -sum(_score(word, one.words) for word in asked))
    return [one.entry for one in found]


def show_set(store: Store, name: str, version: str | None = None) -> dict[str, Any]:
    """The manifest of a set, and its card.

    Args:
        store: The store.
        name: The set, for instance `demo`.
        version: 16 hex digits; by default the version that was published last.

    Returns:
        The manifest as plain data (`set`, `version`, `objects`), with `card` (Markdown), `uri` (`s3://` address) and
        `status`: None, or whether the version is published, deprecated or withdrawn (`state`, `reason`,
        `replacement`, `at`).

    Raises:
        NotInStore: There is no such set or version; the message names the nearest.
        DamagedObject: The manifest or the card is not what was published.
        StoreError: The store refused, or did not answer.

    Examples:
        >>> from chestgan_core.publishing.versions.listing import show_set
        >>> from chestgan_core.store.store import Store
        >>> facts = show_set(Store.open(), "demo")["set"]
        >>> facts["images"], facts["resolution"]  # images, pixels
        (20, 64)
        >>> facts["window_centre"], facts["window_width"], facts["window_unit"]
        (-600, 1500, 'HU')
    """
    artefact, version = find_set(store, name, version)
    card = store.read(artefact, CARD).decode(errors="replace")
    status = status_of(store, name, version)
    return {
        **artefact.manifest,
        "card": card,
        "uri": store.uri(folder_of(artefact.manifest_key)).rstrip("/"),
        "status": status.as_json() if status else None,
    }


def _words_of(entry: SetEntry) -> tuple[str, ...]:
    texts = (entry.name, entry.experiment, entry.source_title, entry.dataset, entry.network, entry.version)
    numbers = (str(entry.resolution), f"{entry.resolution}px", f"{entry.bits}bit")
    boxes = ("boxes",) if "tumour" in entry.conditions else ()
    words = (*texts, *entry.classes, *entry.conditions, *boxes, *numbers)
    return tuple(text.lower() for text in words if text)


def _score(word: str, texts: Sequence[str]) -> int:
    """3 for a whole text, 2 for a word of one, 1 for a part of one, 0 for none."""
    if word in texts:
        return 3
    if any(word in text.split() for text in texts):
        return 2
    return int(any(word in text for text in texts if not text.removesuffix("px").isdigit()))
