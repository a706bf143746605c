"""A synthetic set on disk, complete because it has its manifest.

In: a folder, or the bytes of a manifest. Out: SetFolder. The files that it lists are not read here.
"""

import builtins
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.local.files import file_error, is_regular, open_regular
from chestgan_core.local.json_text import parse_json
from chestgan_core.publishing.reader.manifest import SetFacts, SetManifest
from chestgan_core.store import keys
from chestgan_core.store.artefacts import StoredObject, folder_of, parse_manifest, parse_typed

MANIFEST, LABELS, CARD, SAMPLES = keys.MANIFEST, "labels.parquet", "README.md", "samples.png"
MAX_MANIFEST_BYTES = 64 * 2**20
REMEDY = "fetch the set again; if that does not help, ask whoever published it"
# No folder, no hidden file, nothing that a terminal or a shell reads otherwise.
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class SetFolder:
    """A complete set on disk. manifest: as it is in the store. version: 16 hex digits of what the set holds."""

    path: Path
    version: str
    facts: SetFacts
    objects: tuple[StoredObject, ...]
    manifest: Mapping[str, Any]

    def file(self, item: StoredObject) -> Path:
        """Where a file of the manifest is in this folder."""
        return self.path / self.name(item)

    def name(self, item: StoredObject) -> str:
        """The path of a file of the manifest, relative to this folder, with `/`."""
        return item.key.removeprefix(folder_of(self.manifest_key))

    @property
    def manifest_key(self) -> str:
        """The key of the manifest in a store."""
        return keys.set_manifest(self.facts.name, self.version)

    @property
    def images(self) -> int:
        """How many images the set has."""
        return self.facts.images

    @property
    def bytes(self) -> int:
        """Size of all files together, without the manifest."""
        return sum(item.bytes for item in self.objects)

    @property
    def samples_png(self) -> builtins.bytes:
        """The picture of the first images."""
        return (self.path / SAMPLES).read_bytes()


def read_set_folder(folder: Path) -> SetFolder:
    """The set in a folder. Its files are not checked, see fetching.verify_set.

    Raises BadInput (no manifest), DamagedObject (not the manifest of a set).
    """
    path = folder / MANIFEST
    if not is_regular(path):
        raise BadInput(folder, f"is not a complete set: it has no {MANIFEST}", "run chestgan sets fetch NAME")
    try:
        with open_regular(path) as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise file_error(path, error) from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise DamagedObject(path, "is too large for the manifest of a set", REMEDY)
    return parse_set(data, folder, str(path))


def parse_set(manifest: builtins.bytes, folder: Path, where: str) -> SetFolder:
    """The set whose files are, or will be, in a folder. where: named by an error. Raises DamagedObject."""
    fields = parse_typed(
        SetManifest, parse_json(manifest, where, REMEDY), where, REMEDY, "the manifest of a synthetic set"
    )
    # Checks that every file is in the folder of the manifest, too.
    artefact = parse_manifest(keys.set_manifest(fields.set.name, fields.version), manifest, where)
    found = SetFolder(folder, fields.version, fields.set, artefact.objects, artefact.manifest)
    _check_names([found.name(item) for item in found.objects], where)
    return found


def _check_names(names: Sequence[str], where: str) -> None:
    """Files lie directly in the folder, each once, and those of every set are there. Raises DamagedObject."""
    for name in names:
        if not _FILE_NAME.fullmatch(name) or name in (MANIFEST, keys.WITHDRAWN):
            raise DamagedObject(
                where, f"lists {name[:100]}, which is not the name of a file of a set", REMEDY
            )
    if len({name.lower() for name in names}) != len(names):
        raise DamagedObject(where, "lists a file twice", REMEDY)
    if missing := [name for name in (LABELS, CARD, SAMPLES) if name not in names]:
        raise DamagedObject(where, f"lists no {missing[0]}", REMEDY)
