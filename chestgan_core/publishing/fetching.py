"""List, show, fetch and verify published sets.

In: a store, or a folder that was fetched. Out: entries, manifests, folders whose every file has the sha256
that the manifest names. A fetch that was cut off goes on: files that are already right are not fetched again.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chestgan_core.errors import BadInput, ChestganError, NotInStore
from chestgan_core.local.files import replacing
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.index import SetEntry, read_index
from chestgan_core.publishing.sets import (
    CARD,
    LABELS,
    MANIFEST,
    SetFolder,
    parse_set,
    read_entry,
    read_set_folder,
)
from chestgan_core.publishing.tars import members, read_member
from chestgan_core.store import keys
from chestgan_core.store.artefacts import folder_of, sha256_of
from chestgan_core.store.store import Store


@dataclass(frozen=True)
class Verification:
    """files: how many the manifest lists. broken: path -> what is wrong with it."""

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
        """For people: one line, or one a broken file."""
        if not self.broken:
            return f"{self.folder}: all {self.files} files are as published, version {self.version}"
        told = [f"{self.folder / name}: {cause}" for name, cause in self.broken.items()]
        return "\n".join([*told, f"{len(told)} broken; fetch the set again: right files are kept"])


def list_sets(store: Store) -> list[SetEntry]:
    """All published versions of all sets, by name; which version is the newest, newest() says."""
    return read_index(store)


def newest_version(store: Store, name: str) -> str:
    """The version that was published last. Raises NotInStore, with the names that there are."""
    try:
        newest, _ = store.get_pointer(keys.set_latest(name))
    except NotInStore as error:
        known = sorted({entry.name for entry in read_index(store)})
        remedy = f"choose one of {', '.join(known)}" if known else "publish one first: none is there"
        raise NotInStore(error.what, f"no set {name} was published", remedy) from error
    return keys.checked_name(str(newest.get("version", "")))


def newest(store: Store, name: str) -> SetEntry:
    """The version that was published last, with what the index says of one. Raises NotInStore, DamagedObject."""
    return read_entry(store, keys.set_manifest(name, newest_version(store, name)))


def show_set(store: Store, name: str, version: str | None = None) -> dict[str, Any]:
    """The manifest of a set, plus its card (`card`) and its address (`uri`); version None: the newest."""
    version = version or newest_version(store, name)
    artefact = store.read_manifest(keys.set_manifest(name, version))
    card = store.read(artefact, CARD).decode()
    return {**artefact.manifest, "card": card, "uri": store.uri(folder_of(artefact.manifest_key)).rstrip("/")}


def fetch_set(store: Store, name: str, version: str | None, folder: Path) -> SetFolder:
    """Fetch a set into a folder and verify it; version None: the newest. Goes on where an earlier fetch
    stopped.

    The manifest is written last, so a folder that was fetched by half is not a set. Raises BadInput when the
    folder holds another set or version, NotInStore when there is no such set, DamagedObject for a broken
    object.
    """
    version = version or newest_version(store, name)
    key = keys.set_manifest(name, version)
    _refuse_other(folder, name, version)
    artefact = store.read_manifest(key)
    manifest = store.get_bytes(key, sha256=artefact.sha256)
    wanted = parse_set(manifest, folder, store.uri(key))
    with Progress(f"fetch  {name} {version}", total=len(artefact.objects), unit="files") as progress:
        store.fetch(artefact, folder, progress=progress)
    with replacing(folder / MANIFEST) as path:
        path.write_bytes(manifest)
    return wanted


def verify_set(folder: Path) -> Verification:
    """Check every file against the manifest, and every image against labels.parquet. Raises BadInput: no set
    there.
    """
    there = read_set_folder(folder)
    broken: dict[str, str] = {}
    for item in there.objects:
        path = there.file(item)
        name = path.relative_to(folder).as_posix()
        if not path.is_file():
            broken[name] = "is missing"
        elif path.stat().st_size != item.bytes:
            broken[name] = f"has {path.stat().st_size} bytes, the manifest says {item.bytes}"
        elif (found := sha256_of(path)) != item.sha256:
            broken[name] = f"sha256 is {found[:8]}..., the manifest says {item.sha256[:8]}..."
    if LABELS not in broken:
        broken.update(_broken_images(there, broken))
    return Verification(folder, there.version, len(there.objects), broken)


def _broken_images(there: SetFolder, broken: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Images that labels.parquet does not describe as they are, outside of tars already known as broken."""
    try:
        rows = pq.read_table(there.path / LABELS).to_pylist()
        wanted = {(row["tar"], row["file"]): row["sha256"] for row in rows}
    except (pa.ArrowException, KeyError) as error:
        yield LABELS, f"cannot be read ({error})"
        return
    for tar in sorted({tar for tar, _ in wanted} - broken.keys()):
        try:
            for member in members(there.path / tar):
                digest = hashlib.sha256(read_member(member)).hexdigest()
                if wanted.pop((tar, member.name), None) != digest:
                    yield f"{tar}/{member.name}", f"is not the image that {LABELS} describes"
        except ChestganError as error:
            yield tar, error.cause
    for tar, file in wanted:
        if tar not in broken:
            yield f"{tar}/{file}", "is missing"


def _refuse_other(folder: Path, name: str, version: str) -> None:
    if (folder / MANIFEST).is_file():
        there = read_set_folder(folder)
        if (there.facts.name, there.version) != (name, version):
            raise BadInput(
                folder,
                f"holds the set {there.facts.name}, version {there.version}, not {name} {version}",
                "give another folder",
            )
