"""A synthetic set on disk, complete because it has its manifest.

In: a folder, or the bytes of a manifest. Out: SetFolder. The files that it lists are not read here.
"""

import builtins
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.local.files import file_error, is_regular, open_regular
from chestgan_core.local.json_text import parse_json
from chestgan_core.publishing.reader.manifest import REMEDY, SetFacts, SetFile, manifest_from
from chestgan_core.store import keys

MANIFEST, LABELS, CARD, SAMPLES = keys.MANIFEST, "labels.parquet", "README.md", "samples.png"
GENERATOR = "generator.safetensors"
"""Of a set whose publisher gives the weights away."""
MAX_MANIFEST_BYTES = 16 * 2**20
"""That of 80 million images. What JSON of a stranger takes in memory is up to 40 times its size."""
# No folder, no hidden file, nothing that a terminal or a shell reads otherwise.
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class SetFolder:
    """A complete set on disk. manifest: as it is in the store. version: 16 hex digits of what the set holds."""

    path: Path
    version: str
    facts: SetFacts
    objects: tuple[SetFile, ...]
    manifest: Mapping[str, Any]

    def file(self, item: SetFile) -> Path:
        """Where a file of the manifest is in this folder."""
        return self.path / self.name(item)

    def name(self, item: SetFile) -> str:
        """The name of a file of the manifest in this folder."""
        return item.key.removeprefix(_folder_of(self.manifest_key))

    @property
    def manifest_key(self) -> str:
        """The key of the manifest in a store."""
        return keys.set_manifest(self.facts.name, self.version)

    @property
    def images(self) -> int:
        """How many images the set has."""
        return self.facts.images

    @cached_property
    def tars(self) -> dict[str, int]:
        """The name of each tar, in the order of the images -> its size in bytes."""
        sizes = {self.name(item): item.bytes for item in self.objects}
        # images-9999.tar, then images-10000.tar.
        names = sorted((len(name), name) for name in sizes if name.endswith(".tar"))
        return {name: sizes[name] for _, name in names}

    @property
    def bytes(self) -> int:
        """Size of all files together, without the manifest."""
        return sum(item.bytes for item in self.objects)

    @property
    def samples_png(self) -> builtins.bytes:
        """The picture of the first images."""
        return (self.path / SAMPLES).read_bytes()


def read_set_folder(folder: Path) -> SetFolder:
    """The set in a folder. Its files are not checked, see transfer.verifying.verify_set.

    Raises BadInput (no manifest), DamagedObject (not the manifest of a set).
    """
    path = folder / MANIFEST
    if not is_regular(path):
        if not folder.exists():
            raise BadInput(
                folder, "is not here", "give the folder of a fetched set; chestgan sets fetch NAME makes it"
            )
        raise BadInput(folder, f"is not a complete set: it has no {MANIFEST}", "run chestgan sets fetch NAME")
    try:
        with open_regular(path) as file:
            # `read` sets aside as much as it is asked for, whatever the file has.
            data = file.read(min(os.fstat(file.fileno()).st_size, MAX_MANIFEST_BYTES) + 1)
    except OSError as error:
        raise file_error(path, error) from error
    return parse_set(data, folder, str(path))


def parse_set(manifest: builtins.bytes, folder: Path, where: str) -> SetFolder:
    """The set whose files are, or will be, in a folder. where: named by an error. Raises DamagedObject."""
    if len(manifest) > MAX_MANIFEST_BYTES:
        raise DamagedObject(where, "is too large for the manifest of a set", REMEDY)
    plain = parse_json(manifest, where, REMEDY)
    fields = manifest_from(plain, where)
    try:
        place = _folder_of(keys.set_manifest(fields.set.name, fields.version))
    except BadInput as error:
        raise DamagedObject(
            where, f"is not the manifest of a synthetic set ({error.cause})", REMEDY
        ) from error
    if any(not item.key.startswith(place) for item in fields.objects):
        raise DamagedObject(where, "lists an object outside of its folder", "do not use this set")
    _check_names([item.key.removeprefix(place) for item in fields.objects], where)
    return SetFolder(folder, fields.version, fields.set, fields.objects, plain)


def _folder_of(key: str) -> str:
    return key[: key.rfind("/") + 1]


def _check_names(names: Sequence[str], where: str) -> None:
    """Files lie directly in the folder, each once, and those of every set are there. Raises DamagedObject."""
    for name in names:
        if not _FILE_NAME.fullmatch(name) or name in (MANIFEST, keys.STATUS):
            raise DamagedObject(
                where, f"lists {name[:100]}, which is not the name of a file of a set", REMEDY
            )
    if len({name.lower() for name in names}) != len(names):
        raise DamagedObject(where, "lists a file twice", REMEDY)
    if missing := [name for name in (LABELS, CARD, SAMPLES) if name not in names]:
        raise DamagedObject(where, f"lists no {missing[0]}", REMEDY)
