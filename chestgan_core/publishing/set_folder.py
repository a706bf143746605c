"""A synthetic set on disk, complete because it has its manifest.

In: a folder, or the bytes of a manifest. Out: SetFolder. The files that it lists are not read here.
"""

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chestgan_core.errors import BadInput
from chestgan_core.publishing.manifest import SetFacts, SetManifest
from chestgan_core.store import keys
from chestgan_core.store.artefacts import StoredObject, folder_of, parse_json, parse_manifest, parse_typed

MANIFEST, LABELS, CARD, SAMPLES = keys.MANIFEST, "labels.parquet", "README.md", "samples.png"


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
    if not path.is_file():
        raise BadInput(folder, f"is not a complete set: it has no {MANIFEST}", "run chestgan sets fetch NAME")
    return parse_set(path.read_bytes(), folder, str(path))


def parse_set(manifest: builtins.bytes, folder: Path, where: str) -> SetFolder:
    """The set whose files are, or will be, in a folder. where: named by an error. Raises DamagedObject."""
    remedy = "fetch the set again; if that does not help, ask whoever published it"
    fields = parse_typed(
        SetManifest, parse_json(manifest, where), where, remedy, "the manifest of a synthetic set"
    )
    # Checks that every file is in the folder of the manifest, too.
    artefact = parse_manifest(keys.set_manifest(fields.set.name, fields.version), manifest, where)
    return SetFolder(folder, fields.version, fields.set, artefact.objects, artefact.manifest)
