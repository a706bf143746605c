"""What an artefact of the store is: immutable objects, and the manifest that lists them.

In: manifests as mappings or JSON bytes. Out: Artefact, typed fields, and canonical JSON (sorted keys, no blanks, no
times), so that the same content always has the same bytes, the same sha256 and the same version.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from chestgan_core.errors import BadInput, DamagedObject, Forgotten, nearest
from chestgan_core.local.json_text import parse_json

AGAIN = "delete it and materialize its artefact again"
FORGOTTEN = (
    "forgotten"  # the kind of what stands in the place of a manifest that a patient's withdrawal removed
)
_DIGITS = 16
T = TypeVar("T")


@dataclass(frozen=True)
class StoredObject:
    """One object. key: relative to the prefix of the store. sha256: hex, "" where it is unknown."""

    key: str
    bytes: int
    sha256: str = ""


@dataclass(frozen=True)
class Artefact:
    """A committed manifest. sha256: hex, of the manifest's bytes, which list the sha256 of all its objects."""

    manifest_key: str
    sha256: str
    objects: tuple[StoredObject, ...]
    manifest: Mapping[str, Any]

    @property
    def bytes(self) -> int:
        """Size of all objects together, without the manifest."""
        return sum(item.bytes for item in self.objects)

    def name(self, item: StoredObject) -> str:
        """The object's file name: its key relative to the folder of the manifest, without the part of content_key."""
        return name_of(item, folder_of(self.manifest_key))

    def find(self, name: str) -> StoredObject:
        """The object with this file name. Raises BadInput with the nearest names there are."""
        for item in self.objects:
            if self.name(item) == name:
                return item
        raise BadInput(
            self.manifest_key, f"has no object {name}", nearest(name, map(self.name, self.objects))
        )


def folder_of(key: str) -> str:
    """`a/b/` of `a/b/c`, and "" where there is no folder."""
    return key[: key.rfind("/") + 1]


def content_key(folder: str, name: str, sha256: str) -> str:
    """The key of an object that other content cannot have: `<folder><16 digits of its sha256>/<name>`."""
    return f"{folder}{sha256[:_DIGITS]}/{name}"


def name_of(item: StoredObject, folder: str) -> str:
    """The file name of an object below a folder: its relative key, without the part that content_key adds."""
    parts = item.key.removeprefix(folder).split("/")
    return "/".join(part for part in parts if part != item.sha256[:_DIGITS])


def canonical_json(value: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """The only way in which JSON is written into the store. Raises ValueError for NaN and infinity."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def content_version(*parts: Any, length: int = 16) -> str:
    """The name of content in keys: hex digits of the sha256 over the canonical JSON of all that decides it.

    parts: what JSON can hold, and bytes, which count by their sha256. length: 16 digits (64 bits) keep ten million
    versions apart with a chance of a collision below one in 100,000; a shorter one needs a reason where it is used.
    """
    plain = [sha256_of(part) if isinstance(part, bytes) else part for part in parts]
    return sha256_of(canonical_json(plain))[:length]


def sha256_of(source: Path | bytes) -> str:
    """Hex digest of a file or of bytes. Memory does not grow with the file."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def parse_typed(
    kind: type[T], value: object, where: str, remedy: str = AGAIN, what: str = "as expected"
) -> T:
    """Plain data that the store holds, as a dataclass or pydantic model whose fields have types and bounds.

    where: what an error names. what: what it should be, "the manifest of a run". Fields that kind does not have are
    ignored: a later version may write more. Types are strict: the text "12" is no number, nor are 1.5 and true whole
    ones. Raises DamagedObject with the first field that is missing or out of bounds.
    """
    try:
        # As JSON: strict types of Python would refuse a list for a tuple, and plain data for a dataclass.
        found: T = _adapter(kind).validate_json(json.dumps(value, allow_nan=False), strict=True)  # type: ignore[arg-type]  # a class is hashable
    except (TypeError, ValueError, RecursionError) as error:
        if not isinstance(error, ValidationError):
            raise DamagedObject(where, f"is not {what}", remedy) from error
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "all of it"
        raise DamagedObject(where, f"is not {what} ({field}: {first['msg']})", remedy) from error
    except BadInput as error:
        raise DamagedObject(where, f"is not {what} ({error.what} {error.cause})", remedy) from error
    return found


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@dataclass(frozen=True)
class _Listed:
    key: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class _Manifest:
    objects: tuple[_Listed, ...]


def parse_manifest(manifest_key: str, data: bytes, where: str) -> Artefact:
    """Manifest bytes to an Artefact.

    The manifest may come from a store that somebody else writes to, so its keys are checked: an object must lie in
    the folder of the manifest, or fetching it would write outside of the target folder. Raises DamagedObject, and
    Forgotten where a tombstone stands in its place (store/forgotten.py).
    """
    manifest = parse_json(data, where, AGAIN)
    if manifest.get("kind") == FORGOTTEN:
        cause = "was deleted, because a patient whom it came of has withdrawn"
        raise Forgotten(where, cause, "materialize its asset again: it is made without the patient")
    fields = parse_typed(_Manifest, manifest, where, "give the key of a manifest", "a manifest")
    objects = tuple(StoredObject(item.key, item.bytes, item.sha256) for item in fields.objects)
    for item in objects:
        if not _lies_in(folder_of(manifest_key), item.key):
            raise DamagedObject(where, "lists an object outside of its folder", "do not use this artefact")
    names = [name_of(item, folder_of(manifest_key)) for item in objects]
    if "" in names or len(set(names)) != len(names):
        raise DamagedObject(
            where, "lists two objects of one name, or one without a name", "do not use this artefact"
        )
    return Artefact(manifest_key, sha256_of(data), objects, manifest)


def _lies_in(folder: str, key: str) -> bool:
    name = key.removeprefix(folder)
    plain = "\\" not in name and not {"", ".", ".."}.intersection(name.split("/"))
    return key.startswith(folder) and plain
