"""Download what an s3:// address names: an object, or an artefact with all its files.

In: an address, as the pipeline, a report or a command printed it. Out: files, each verified by its sha256. The part
of a key that says which content an object has (`store.artefacts.content_key`) need not be in the address:
`s3://bucket/reports/demo/RUN/VERSION/report.pdf` is the report.pdf that the manifest of this version lists.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.local.files import require_space
from chestgan_core.local.output import output_folder, require_output_folder
from chestgan_core.store.artefacts import Artefact, StoredObject, sha256_of
from chestgan_core.store.embedded import open_store_at
from chestgan_core.store.keys import MANIFEST
from chestgan_core.store.store import Store

KIND = "files of"
_REMEDY = "give the address of an object, or of a folder with a manifest, as the pipeline prints it"
_ANOTHER = "give --out on another disk"


@dataclass(frozen=True)
class Downloaded:
    """uri: of what was downloaded. files: where its files are. bytes: of all together."""

    uri: str
    files: tuple[Path, ...]
    bytes: int


@contextmanager
def open_address(uri: str, home: Path) -> Iterator[tuple[Store, str]]:
    """The store in which an address lies, and the key that it is there.

    uri: s3://bucket/key. home: the local folder. Raises BadInput: not such an address; StoreError.
    """
    plain = uri.rstrip("/")
    bucket, _, key = plain.removeprefix("s3://").partition("/")
    root = os.environ.get("CHESTGAN_STORE", "").rstrip("/")
    if not plain.startswith("s3://") or not bucket:
        raise BadInput(uri, "is not the address of an object", "use s3://bucket/key")
    if root and plain.startswith(f"{root}/"):
        bucket, key = root.removeprefix("s3://"), plain.removeprefix(f"{root}/")
    if not key or plain == root:
        raise BadInput(uri, "names a whole store", _REMEDY)
    with open_store_at(f"s3://{bucket}", home) as store:
        yield store, key


def download(store: Store, key: str, out: Path | None = None) -> Downloaded:
    """Download an object, an artefact, or a file or folder of one.

    Args:
        store: From `open_address`.
        key: Of an object; of a manifest, or its folder: then all its files; or the folder of a manifest and the name
            that it lists.
        out: A file or an existing folder for an object, a folder for an artefact; by default the name of what is
            downloaded, in the working directory.

    Returns:
        What was downloaded, and where it is.

    Raises:
        NotInStore: There is nothing of this key.
        BadInput: A file is there already and is another one; the folder holds something else.
        DamagedObject: What the store has is not what its manifest says.
        DiskFull: The disk has no room for it.
        StoreError: The store refused, or did not answer.
    """
    found = store.head(key)
    artefact = _artefact(store, key if found else f"{key}/{MANIFEST}")
    if artefact is not None:
        folder = out or Path(_name(artefact))
        return _files(store, artefact, artefact.objects, folder)
    if found is not None:
        return _object(store, found, PurePosixPath(key).name, out)
    for parent in PurePosixPath(key).parents[:-1]:  # the last is the store itself
        artefact = _artefact(store, f"{parent}/{MANIFEST}")
        if artefact is not None:
            return _part(store, artefact, key.removeprefix(f"{parent}/"), out)
    raise NotInStore(store.uri(key), "is not in the store", _REMEDY)


def _artefact(store: Store, key: str) -> Artefact | None:
    """The artefact of a manifest, if the key is that of one."""
    if key.endswith(".json"):
        # A pointer, or the data of a report, has no list of objects.
        with suppress(NotInStore, DamagedObject):
            return store.read_manifest(key)
    return None


def _name(artefact: Artefact) -> str:
    """`demo-0123456789abcdef`: the two last folders of a manifest, or its name where it has another."""
    path = PurePosixPath(artefact.manifest_key)
    parts = path.parent.parts[-2:] if path.name == MANIFEST else (path.parent.name, path.stem)
    return "-".join(parts)


def _part(store: Store, artefact: Artefact, name: str, out: Path | None) -> Downloaded:
    below = tuple(item for item in artefact.objects if artefact.name(item).startswith(f"{name}/"))
    if below:
        return _files(store, artefact, below, out or Path(_name(artefact)))
    return _object(store, artefact.find(name), PurePosixPath(name).name, out)


def _files(store: Store, artefact: Artefact, items: tuple[StoredObject, ...], folder: Path) -> Downloaded:
    of = f"{store.uri(artefact.manifest_key)} {artefact.sha256[:16]}"
    require_output_folder(folder, KIND, of)
    require_space([(folder, sum(item.bytes for item in items), _ANOTHER)])
    with output_folder(folder, KIND, of):
        paths = tuple(folder / artefact.name(item) for item in items)
        for item, path in zip(items, paths, strict=True):
            if not (path.is_file() and sha256_of(path) == item.sha256):
                store.get_file(item.key, path, item.sha256)
    return Downloaded(store.uri(artefact.manifest_key), paths, sum(item.bytes for item in items))


def _object(store: Store, item: StoredObject, name: str, out: Path | None) -> Downloaded:
    path = Path(name) if out is None else out / name if out.is_dir() else out
    if path.exists():
        if not (path.is_file() and item.sha256 and sha256_of(path) == item.sha256):
            raise BadInput(path, "is there, and is another file", "give --out with another name")
    else:
        require_space([(path.parent, item.bytes, _ANOTHER)])
        store.get_file(item.key, path, item.sha256)
    return Downloaded(store.uri(item.key), (path,), item.bytes)
