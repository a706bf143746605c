"""Find a version of a published set by name, or say which are most like it.

In: the name of a set, and perhaps a version. Out: its manifest.
"""

from typing import NoReturn

from chestgan_core.errors import NotInStore, StoreError, nearest
from chestgan_core.publishing.versions.index import SetEntry, read_index
from chestgan_core.publishing.versions.status import stored_entry
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact
from chestgan_core.store.errors import RefusedByStore
from chestgan_core.store.store import Store


def newest_version(store: Store, name: str) -> str:
    """The version that was published last. Raises NotInStore, with the names most like it; DamagedObject."""
    try:
        return store.read_pointer(keys.set_latest(name), "version")[0]
    except (NotInStore, RefusedByStore) as error:
        _not_published(store, name, None, error)


def newest(store: Store, name: str) -> SetEntry:
    """The version that was published last, as the index describes it. Raises NotInStore, DamagedObject."""
    return stored_entry(store, keys.set_manifest(name, newest_version(store, name)))


def find_set(store: Store, name: str, version: str | None) -> tuple[Artefact, str]:
    """The manifest of a version, by default of the newest, and that version.

    The pointer is read once: what is published meanwhile does not matter. Raises NotInStore, with the names or versions
    most like it; DamagedObject; StoreError.
    """
    version = version or newest_version(store, name)
    try:
        return store.read_manifest(keys.set_manifest(name, version)), version
    except (NotInStore, RefusedByStore) as error:
        _not_published(store, name, version, error)


def require_published(store: Store, name: str, version: str) -> None:
    """Raises NotInStore, with the names or versions most like it."""
    find_set(store, name, version)


def _not_published(store: Store, name: str, version: str | None, error: StoreError) -> NoReturn:
    """What the index says of a set that is not there, or, to keys that may not list, is refused like one that is."""
    entries = read_index(store)
    versions = [entry.version for entry in entries if entry.name == name]
    if isinstance(error, RefusedByStore) and (version in versions or (versions and version is None)):
        raise error
    if versions and version:
        raise NotInStore(f"set {name}", f"has no version {version}", nearest(version, versions)) from error
    raise NotInStore(
        f"set {name}", "has not been published", nearest(name, {entry.name for entry in entries})
    ) from error
