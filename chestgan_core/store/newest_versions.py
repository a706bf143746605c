"""Which version the pointer of each of many patients names, from a list of the store instead of a request for each.

In: what the keys of a patient begin with, and the patients. Out: versions. A pointer is canonical JSON, and its ETag is
the MD5 of its bytes at all servers that do not encrypt with keys of their own: so the listed pointer names the one of
the listed manifests whose pointer would have this ETag. Where none would, the pointer is read.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from chestgan_core.errors import NotInStore
from chestgan_core.store.artefacts import canonical_json, folder_of
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.keys import POINTER
from chestgan_core.store.store import Store

_VERSION = "version"
# Eight at a time let each wait for the others at the embedded server of a busy machine: 8 s, and 10 are given up.
_LISTS = 4
# A request lists 1,000 objects; a part should fill some.
_IN_A_PART, _MOST_PARTS = 500, 128


@dataclass(frozen=True)
class ListedVersion:
    """version: that the pointer of a patient names. etag: of its manifest, "" where that is not listed."""

    version: str
    etag: str


@dataclass
class _Listed:
    """Of one patient. pointer: its ETag, "" without one. manifests: version -> ETag."""

    pointer: str = ""
    manifests: dict[str, str] = field(default_factory=dict)


def newest_versions(
    store: Store, prefix: Callable[[str, str], str], dataset: str, patients: Sequence[str]
) -> dict[str, ListedVersion]:
    """Patient -> the version that its pointer names; patients without a pointer are left out.

    Args:
        store: Whose lists are asked for, several parts at once.
        prefix: From dataset and patient to what the keys of the patient begin with, such as `keys.raw_prefix`.
        dataset: Of the patients.
        patients: Their names in keys.

    Raises:
        DamagedObject: A pointer names no version.
        StoreError: The store refused, or did not answer.
    """
    if not patients:
        return {}
    folders = {prefix(dataset, patient): _Listed() for patient in patients}
    common = folder_of(prefix(dataset, patients[0])[:-1])
    names = [folder.removeprefix(common) for folder in folders]
    with ThreadPoolExecutor(PARALLEL) as pool, ThreadPoolExecutor(_LISTS) as lists:
        for tagged in lists.map(lambda part: list(_manifests(store, common, part)), _parts(names)):
            for folder, name, etag in tagged:
                if listed := folders.get(folder):
                    if name == POINTER:
                        listed.pointer = etag
                    else:
                        listed.manifests[name.removesuffix(".json")] = etag
        versions = {folder: _listed_version(listed) for folder, listed in folders.items() if listed.pointer}
        unknown = [folder for folder, version in versions.items() if not version]
        versions.update(
            zip(unknown, pool.map(lambda folder: _read_version(store, folder), unknown), strict=True)
        )
    of_folder = {
        folder: ListedVersion(version, folders[folder].manifests.get(version, ""))
        for folder, version in versions.items()
        if version
    }
    named = {patient: prefix(dataset, patient) for patient in patients}
    return {patient: of_folder[folder] for patient, folder in named.items() if folder in of_folder}


def _parts(names: Sequence[str]) -> list[str]:
    """Beginnings that divide the names into some parts to list at once: by their first letters, as many as it takes.

    Not by ranges of keys: servers differ in where `a-b/c` is listed, before `a/c` or behind it.
    """
    parts = [""]
    for length in range(1, max(map(len, names)) + 1):
        if len(parts) >= min(2 * PARALLEL, len(names) // _IN_A_PART):
            break
        longer = sorted({name[:length] for name in names})
        if len(longer) > _MOST_PARTS:
            break
        parts = longer
    return parts


def _manifests(store: Store, common: str, part: str) -> Iterator[tuple[str, str, str]]:
    """Folder, name and ETag of the pointers and manifests that lie directly in the folders of patients."""
    for item, etag in store.list_tagged(common + part):
        folder = folder_of(item.key)
        if folder.count("/") == common.count("/") + 1 and item.key.endswith(".json"):
            yield folder, item.key[len(folder) :], etag.strip('"')


def _listed_version(listed: _Listed) -> str:
    """The one of the listed manifests whose pointer this is; "" where it is none of them."""
    for version in listed.manifests:
        pointer = canonical_json({_VERSION: version})
        if hashlib.md5(pointer, usedforsecurity=False).hexdigest() == listed.pointer:
            return version
    return ""


def _read_version(store: Store, folder: str) -> str:
    try:
        return store.read_pointer(folder + POINTER, _VERSION)[0]
    except NotInStore:  # it was deleted since it was listed
        return ""
