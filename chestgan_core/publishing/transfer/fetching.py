"""List, show, fetch and verify published sets.

In: a store, or a folder that was fetched. Out: entries, manifests, and folders in which every file has the sha256 that
the manifest names.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chestgan_core.errors import DamagedObject, NotInStore, nearest
from chestgan_core.escaping import escaped
from chestgan_core.local.files import is_regular, replacing, require_space
from chestgan_core.local.output import output_folder, require_output_folder
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.reader.labels import read_labels
from chestgan_core.publishing.reader.png import decode_grey, max_png_bytes
from chestgan_core.publishing.reader.set_folder import (
    CARD,
    LABELS,
    MANIFEST,
    SetFolder,
    parse_set,
    read_set_folder,
)
from chestgan_core.publishing.reader.tars import Member, members, read_member
from chestgan_core.publishing.versions.index import SetEntry, read_index
from chestgan_core.publishing.versions.status import require_not_withdrawn, stored_entry, withdrawal_of
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, folder_of, sha256_of
from chestgan_core.store.store import Store

KIND = "the set"


@dataclass(frozen=True)
class Verification:
    """files: how many the manifest lists. broken: path in the folder -> what is wrong with the file."""

    folder: Path
    version: str
    files: int
    broken: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Plain data; exit_status 1 when anything is broken."""
        return {
            "exit_status": 1 if self.broken else 0,
            "folder": str(self.folder),
            "version": self.version,
            "files": self.files,
            "broken": self.broken,
        }

    def line(self) -> str:
        """For people: one line, or one per broken file and one that says what to do."""
        if not self.broken:
            return escaped(f"{self.folder}: all {self.files} files are as published, version {self.version}")
        lines = [escaped(f"{self.folder / name}: {cause}") for name, cause in self.broken.items()]
        count = "1 file is" if len(lines) == 1 else f"{len(lines)} files are"
        return "\n".join([*lines, f"{count} broken; fetch the set again: only those are downloaded"])


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
        >>> from chestgan_core.publishing.transfer.fetching import list_sets
        >>> from chestgan_core.store.store import Store
        >>> for entry in list_sets(Store.open()):
        ...     print(entry.name, entry.images, entry.resolution)  # images, pixels
        demo 20 64
    """
    return read_index(store)


def newest_version(store: Store, name: str) -> str:
    """The version that was published last. Raises NotInStore, with the names most like it; DamagedObject."""
    try:
        return store.read_pointer(keys.set_latest(name), "version")[0]
    except NotInStore as error:
        names = {entry.name for entry in read_index(store)}
        raise NotInStore(f"set {name}", "has not been published", nearest(name, names)) from error


def newest(store: Store, name: str) -> SetEntry:
    """The version that was published last, as the index describes it. Raises NotInStore, DamagedObject."""
    return stored_entry(store, keys.set_manifest(name, newest_version(store, name)))


def show_set(store: Store, name: str, version: str | None = None) -> dict[str, Any]:
    """The manifest of a set, and its card.

    Args:
        store: The store.
        name: The set, for instance `demo`.
        version: 16 hex digits; by default the version that was published last.

    Returns:
        The manifest as plain data (`set`, `version`, `objects`), with `card` (Markdown), `uri` (`s3://` address) and
        `withdrawn`: None, or why the version was withdrawn (`reason`, `replacement`, `at`).

    Raises:
        NotInStore: There is no such set or version; the message names the nearest.
        DamagedObject: The manifest or the card is not what was published.
        StoreError: The store refused, or did not answer.

    Examples:
        >>> from chestgan_core.publishing.transfer.fetching import show_set
        >>> from chestgan_core.store.store import Store
        >>> facts = show_set(Store.open(), "demo")["set"]
        >>> facts["images"], facts["resolution"]  # images, pixels
        (20, 64)
        >>> facts["window_centre"], facts["window_width"], facts["window_unit"]
        (-600, 1500, 'HU')
    """
    artefact, version = _manifest(store, name, version)
    card = store.read(artefact, CARD).decode(errors="replace")
    withdrawn = withdrawal_of(store, name, version)
    return {
        **artefact.manifest,
        "card": card,
        "uri": store.uri(folder_of(artefact.manifest_key)).rstrip("/"),
        "withdrawn": withdrawn.as_json() if withdrawn else None,
    }


def fetch_set(store: Store, name: str, version: str | None, folder: Path) -> SetFolder:
    """Download a set into a folder and verify it. Files that are there and intact are not downloaded again.

    The manifest is written last, so a folder whose download was interrupted is not a set; the same call resumes.

    Args:
        store: The store.
        name: The set, for instance `demo`.
        version: 16 hex digits; None for the version that was published last.
        folder: Is made where it is missing.

    Returns:
        The complete set on disk.

    Raises:
        NotInStore: There is no such set or version; the message names the nearest.
        SetWithdrawn: The version was withdrawn; says why, and what to use instead.
        BadInput: The folder holds another set or version, or files that are not of one.
        DiskFull: Its disk has no room for the set.
        DamagedObject: A file in the store is not what the manifest says.
        StoreError: The store refused, or did not answer.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.publishing.transfer.fetching import fetch_set
        >>> from chestgan_core.store.store import Store
        >>> fetched = fetch_set(Store.open(), "demo", None, Path("demo-set"))
        >>> fetched.images, fetched.facts.window.ends  # HU of grey 0 and of grey 255
        (20, (-1350.0, 150.0))
    """
    artefact, version = _manifest(store, name, version)
    require_not_withdrawn(store, name, version)
    require_output_folder(folder, KIND, f"{name} {version}")
    manifest = store.get_bytes(artefact.manifest_key, sha256=artefact.sha256)
    fetched = parse_set(manifest, folder, store.uri(artefact.manifest_key))
    if (fetched.facts.name, fetched.version) != (name, version):
        where = store.uri(artefact.manifest_key)
        raise DamagedObject(where, "is the manifest of another set or version", "ask whoever published it")
    missing = [item for item in fetched.objects if not is_regular(fetched.file(item))]
    require_space([(folder, sum(item.bytes for item in missing), "give a folder on another disk")])
    # Another process that downloads the same into the same folder (open_set does, in the cache) is waited for.
    with (
        output_folder(folder, KIND, f"{name} {version}", wait=True),
        Progress(f"fetch  {name} {version}", total=len(artefact.objects), unit="files") as progress,
    ):
        store.fetch(artefact, folder, progress=progress)
        with replacing(folder / MANIFEST) as path:
            path.write_bytes(manifest)
    return fetched


def verify_set(folder: Path) -> Verification:
    """Check every file of a set against its manifest, and every image against labels.parquet.

    Args:
        folder: A folder that `fetch_set` or `write_set` made.

    Returns:
        What is missing or not as published, by file name; empty `broken` for an intact set.

    Raises:
        BadInput: There is no complete set in the folder.
        DamagedObject: manifest.json is not the manifest of a set.

    Examples:
        >>> from pathlib import Path
        >>> from chestgan_core.publishing.transfer.fetching import verify_set
        >>> verify_set(Path("demo-set")).broken
        {}
    """
    there = read_set_folder(folder)
    broken: dict[str, str] = {}
    for item in there.objects:
        path, name = there.file(item), there.name(item)
        if not is_regular(path):
            there_is = path.is_symlink() or path.exists()
            broken[name] = "is a link, a pipe or a folder, not a file" if there_is else "is missing"
        elif path.stat().st_size != item.bytes:
            broken[name] = f"has {path.stat().st_size} bytes, the manifest says {item.bytes}"
        elif (found := sha256_of(path)) != item.sha256:
            broken[name] = f"sha256 is {found[:8]}..., the manifest says {item.sha256[:8]}..."
    if LABELS not in broken:
        broken.update(_broken_images(there, broken))
    return Verification(folder, there.version, len(there.objects), broken)


def _manifest(store: Store, name: str, version: str | None) -> tuple[Artefact, str]:
    """The manifest of a version, by default of the newest, and that version. Raises NotInStore, DamagedObject."""
    version = version or newest_version(store, name)
    try:
        return store.read_manifest(keys.set_manifest(name, version)), version
    except NotInStore as error:
        entries = read_index(store)
        versions = [entry.version for entry in entries if entry.name == name]
        if versions:
            cause, remedy = f"has no version {version}", nearest(version, versions)
        else:
            cause, remedy = "has not been published", nearest(name, {entry.name for entry in entries})
        raise NotInStore(f"set {name}", cause, remedy) from error


def _broken_images(there: SetFolder, broken: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Images that are not as labels.parquet describes them, outside of tars that are known to be broken."""
    try:
        labelled = {(row["tar"], row["file"]): row["sha256"] for row in read_labels(there)}
    except DamagedObject as error:
        yield LABELS, error.cause
        return
    names = sorted(map(there.name, there.objects))
    tars = [name for name in names if name.endswith(".tar") and name not in broken]
    for tar in tars:
        try:
            for member in members(there.path / tar):
                sha256 = labelled.pop((tar, member.name), None)
                if cause := _broken_image(member, sha256, there.facts.resolution):
                    yield f"{tar}/{member.name}", cause
        except DamagedObject as error:
            yield tar, error.cause
            labelled = {place: digest for place, digest in labelled.items() if place[0] != tar}
    for tar, file in labelled:
        if tar in tars:
            yield f"{tar}/{file}", "is missing"


def _broken_image(member: Member, sha256: str | None, size: int) -> str:
    """What is wrong with a file of a tar; "" for the image that its label describes."""
    if sha256 is None:
        return f"is an image that no row of {LABELS} names"
    if member.bytes > max_png_bytes(size):
        return f"has {member.bytes:,} bytes, too many for an image of {size} x {size} pixels"
    data = read_member(member)
    if hashlib.sha256(data).hexdigest() != sha256:
        return f"is not the image that {LABELS} describes"
    try:
        decode_grey(data, size, member.name)
    except DamagedObject as error:
        return error.cause
    return ""
