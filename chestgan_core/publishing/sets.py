"""Write a synthetic set into a folder: images from numbered seeds, labels, card, manifest.

In: a generator and a range of seeds. Out: images-0000.tar ..., labels.parquet, README.md, samples.png and
manifest.json. The same generator, seeds and facts give the same bytes, hence the same version.
"""

import builtins
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.imaging.pictures import image_grid, png_of, save_png, to_grey
from chestgan_core.local.files import replacing
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.card import SetFacts, write_card
from chestgan_core.publishing.index import SetEntry, add_to_index
from chestgan_core.publishing.tars import add_file
from chestgan_core.store import keys
from chestgan_core.store.artefacts import (
    StoredObject,
    canonical_json,
    content_version,
    folder_of,
    parse_json,
    parse_manifest,
    sha256_of,
)
from chestgan_core.store.store import Store
from chestgan_core.training.generation import class_of, generate, generate_stream
from chestgan_core.training.weights import LoadedGenerator

KIND = "synthetic-set"
MANIFEST, LABELS, CARD, PICTURE = keys.MANIFEST, "labels.parquet", "README.md", "samples.png"
PICTURED = 64
PER_TAR = 1000
_NUMBER: pa.DataType = pa.int64()
_TEXT: pa.DataType = pa.string()
LABEL_SCHEMA = pa.schema(
    {"index": _NUMBER, "seed": _NUMBER, "class": _TEXT, "tar": _TEXT, "file": _TEXT, "sha256": _TEXT}
)


@dataclass(frozen=True)
class SetFolder:
    """A complete set on disk. manifest: as it is in the store. version: 16 hex of what the set holds."""

    path: Path
    version: str
    facts: SetFacts
    objects: tuple[StoredObject, ...]
    manifest: Mapping[str, Any]

    def file(self, item: StoredObject) -> Path:
        """Where an object of the manifest lies in this folder."""
        return self.path / item.key.removeprefix(folder_of(self.manifest_key))

    @property
    def manifest_key(self) -> str:
        """Where the manifest lies in a store."""
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
        return (self.path / PICTURE).read_bytes()


@dataclass(frozen=True)
class PublishedSet:
    """uri: what open_set takes. bytes: of all files."""

    name: str
    version: str
    uri: str
    images: int
    bytes: int


def write_set(
    generator: LoadedGenerator,
    experiment: Experiment,
    count: int,
    first_seed: int,
    folder: Path,
    provenance: Mapping[str, Any],
) -> SetFolder:
    """Image k from seed first_seed + k, for k below count; the set bears the experiment's name.

    What the images are (window, resolution, network) is told by the experiment inside the generator's file: the
    one given may have been changed since the training.
    provenance: `source` and `source_licence` of the training data, as reports may call it; `metrics`, the
    metric report as plain data, if there is one; what else the card should tell. No times, or the
    same set gets another version each time. Memory is one tar. The manifest comes last: a folder without it
    is no set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    trained = generator.experiment
    window = trained.display_window
    facts = SetFacts(
        name=keys.checked_name(experiment.name),
        experiment=experiment.name,
        images=count,
        first_seed=first_seed,
        resolution=trained.resolution,
        window_centre=window.centre,
        window_width=window.width,
        model_sha256=generator.sha256,
        source_title=provenance["source"],
        source_licence=provenance["source_licence"],
        window_unit=window.unit,
        classes=trained.classes,
    )
    names = _write_images(generator, range(first_seed, first_seed + count), folder, facts.name)
    card = write_card(facts, trained.network.model_dump(), provenance)
    with replacing(folder / CARD) as path:
        path.write_text(card, encoding="utf-8")
    first = generate(generator, range(first_seed, first_seed + min(count, PICTURED)))
    save_png(image_grid(first), folder / PICTURE)
    return _seal(folder, facts, sorted([*names, CARD, PICTURE]))


def publish_set(store: Store, ready: SetFolder) -> PublishedSet:
    """Upload a set, manifest last, then list it in the index and make it the newest version.

    Doing it again changes nothing; an older version that is published again is the newest again.

    Raises DamagedObject when a file is no longer what the manifest of the folder says.
    """
    for item in ready.objects:
        if not ready.file(item).is_file() or sha256_of(ready.file(item)) != item.sha256:
            raise DamagedObject(ready.file(item), "is not what the manifest says", "write the set again")
    names = {ready.file(item).relative_to(ready.path).as_posix(): ready.file(item) for item in ready.objects}
    told = {name: value for name, value in ready.manifest.items() if name != "objects"}
    with Progress(f"publish  {ready.facts.name}", total=len(names), unit="files") as progress:
        store.commit(ready.manifest_key, names, told, progress=progress)
    add_to_index(store, entry_of(ready))
    store.update_pointer(keys.set_latest(ready.facts.name), {"version": ready.version})
    uri = store.uri(folder_of(ready.manifest_key)).rstrip("/")
    return PublishedSet(ready.facts.name, ready.version, uri, ready.images, ready.bytes)


def entry_of(ready: SetFolder) -> SetEntry:
    """The set's line in the index."""
    return SetEntry(
        name=ready.facts.name,
        version=ready.version,
        images=ready.images,
        resolution=ready.facts.resolution,
        bytes=ready.bytes,
        source_title=ready.facts.source_title,
        model_sha256=ready.facts.model_sha256,
        manifest=ready.manifest_key,
    )


def read_set_folder(folder: Path) -> SetFolder:
    """The set in a folder by its manifest; the files themselves are not read, see fetching.verify_set.

    Raises BadInput where there is no manifest, DamagedObject where it is not that of a set.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BadInput(folder, f"is no complete set: no {MANIFEST}", "fetch it: chestgan sets fetch NAME")
    return parse_set(path.read_bytes(), folder, str(path))


def read_entry(store: Store, manifest_key: str) -> SetEntry:
    """The line in the index of a committed set, from its manifest. Raises NotInStore, DamagedObject."""
    where = store.uri(manifest_key)
    found = parse_set(store.get_bytes(manifest_key), Path(), where)
    if found.manifest_key != manifest_key:
        raise DamagedObject(where, "is the manifest of another set or version", "delete it")
    return entry_of(found)


def parse_set(manifest: bytes, folder: Path, where: str) -> SetFolder:
    """Manifest bytes to the set that lies, or is to lie, in folder. where: what an error names.

    Raises DamagedObject.
    """
    told = parse_json(manifest, where)
    try:
        facts = SetFacts(**{**told["set"], "classes": tuple(told["set"]["classes"])})
        key = keys.set_manifest(facts.name, told["version"])
    except (KeyError, TypeError, BadInput) as error:
        raise DamagedObject(where, "is not the manifest of a synthetic set", "fetch the set again") from error
    artefact = parse_manifest(key, manifest, where)
    return SetFolder(folder, told["version"], facts, artefact.objects, artefact.manifest)


def _write_images(generator: LoadedGenerator, seeds: range, folder: Path, label: str) -> list[str]:
    """The tars and labels.parquet; returns their names."""
    images = generate_stream(generator, seeds)
    labels: list[dict[str, Any]] = []
    names = []
    with Progress(f"synthetic set  {label}", total=len(seeds), unit="images") as progress:
        for start in range(0, len(seeds), PER_TAR):
            buffer = io.BytesIO()
            name = f"images-{start // PER_TAR:04d}.tar"
            with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
                for index in range(start, min(start + PER_TAR, len(seeds))):
                    data = png_of(Image.fromarray(to_grey(next(images)[None])[0]))
                    file = f"{index:06d}.png"
                    add_file(archive, file, data)
                    digest = hashlib.sha256(data).hexdigest()
                    seed = seeds[index]
                    of = class_of(seed, generator.experiment)
                    row = {
                        "index": index,
                        "seed": seed,
                        "class": of,
                        "tar": name,
                        "file": file,
                        "sha256": digest,
                    }
                    labels.append(row)
                    progress.step()
            with replacing(folder / name) as path:
                path.write_bytes(buffer.getvalue())
            names.append(name)
    with replacing(folder / LABELS) as path:
        pq.write_table(pa.Table.from_pylist(labels, schema=LABEL_SCHEMA), path)
    return [*names, LABELS]


def _seal(folder: Path, facts: SetFacts, names: list[str]) -> SetFolder:
    """Derive the version from the content and write the manifest."""
    sizes = {name: (folder / name).stat().st_size for name in names}
    digests = {name: sha256_of(folder / name) for name in names}
    version = content_version(facts.as_json(), digests)
    place = folder_of(keys.set_manifest(facts.name, version))
    objects = [{"key": f"{place}{name}", "bytes": sizes[name], "sha256": digests[name]} for name in names]
    manifest = {"kind": KIND, "set": facts.as_json(), "version": version, "objects": objects}
    data = canonical_json(manifest)
    with replacing(folder / MANIFEST) as path:
        path.write_bytes(data)
    return parse_set(data, folder, str(folder / MANIFEST))
