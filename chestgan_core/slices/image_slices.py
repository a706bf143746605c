"""Pictures as slices: each class of a collection as one shard, grey 0 to 255, square.

In: the newest pictures of a dataset in the store. Out: `slices/<dataset>/<class>/<version>.safetensors` with rows and
manifest, as patient_slices.py commits those of a patient, and the pointer. Spacing, position and lung are unknown.

A picture is kept whole, with its proportions, on a black square. Both collections are cut close to the body and up to
2.6 times as wide as high, so a crop from the middle would take the outer halves of both lungs; black is what surrounds
the body in them anyway.
"""

import tempfile
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import numpy as np

from chestgan_core.config.dataset import Dataset
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.imaging.perceptual_hash import perceptual_hash
from chestgan_core.local.progress import Progress
from chestgan_core.slices.shards import Shard, SliceRow, write_shard
from chestgan_core.slices.slices_manifest import REMEDY, WHAT, SlicesManifest
from chestgan_core.sources.images.collection import ImageCollection, open_images
from chestgan_core.sources.images.contact_sheet import fitted
from chestgan_core.sources.images.decoding import UnusableImage, decode_image
from chestgan_core.sources.images.image_rows import ImageRow
from chestgan_core.sources.images.zips import read_zips
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, content_version, sha256_of
from chestgan_core.store.store import Store

# Changes whenever the code gives other slices or other rows for the same pictures.
VERSION = 4


def newest_image_slices(store: Store, dataset: Dataset) -> dict[str, Artefact]:
    """Class -> its slices, made from the newest pictures where they are not in the store yet.

    Raises NotInStore (no pictures: materialize raw_images first), DamagedObject, StoreError.
    """
    collection = open_images(store, dataset.name)
    classes = sorted({row.class_name for row in collection.rows if row.is_selected})
    recipe = recipe_version(dataset)
    found = {name: _present(store, dataset, name, collection.version, recipe) for name in classes}
    missing = [name for name, artefact in found.items() if artefact is None]
    if missing:
        found |= _make(store, dataset, collection, missing, recipe)
    return {name: artefact for name, artefact in found.items() if artefact is not None}


def recipe_version(dataset: Dataset) -> str:
    """16 hexadecimal digits that name how the pictures of a dataset become slices."""
    return content_version({"images": VERSION, "size": dataset.slice_size})


def _present(store: Store, dataset: Dataset, name: str, raw: str, recipe: str) -> Artefact | None:
    try:
        (version,) = store.read_pointer(keys.slices_latest(dataset.name, name), "version")
        key = keys.slices_manifest(dataset.name, name, version)
        artefact, manifest = store.read_typed(key, SlicesManifest, REMEDY, WHAT)
    except NotInStore:
        return None
    return artefact if (manifest.raw, manifest.recipe) == (raw, recipe) else None


def _make(
    store: Store, dataset: Dataset, collection: ImageCollection, classes: list[str], recipe: str
) -> dict[str, Artefact]:
    used = [row for row in collection.rows if row.is_selected and row.class_name in classes]
    by_class: defaultdict[str, list[ImageRow]] = defaultdict(list)
    for row in used:
        by_class[row.class_name].append(row)
    made = {}
    with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
        fetched = store.fetch(collection.artefact, Path(scratch) / "raw")
        zips = [path for name, path in sorted(fetched.items()) if name.endswith(".zip")]
        with Progress(f"slice_tensors {dataset.name}", len(used), "pictures") as progress:
            for name in classes:
                shard = _shard(zips, by_class[name], dataset.slice_size, progress)
                made[name] = _commit(store, dataset, name, shard, collection.version, recipe, Path(scratch))
    return made


def _shard(zips: list[Path], rows: list[ImageRow], size: int, progress: Progress) -> Shard:
    slices = np.empty((len(rows), size, size), np.int16)
    new_rows = []
    for index, (row, data) in enumerate(read_zips(zips, rows)):
        try:
            picture = decode_image(data, PurePosixPath(row.path).suffix)
        except UnusableImage as error:  # it was collected by a version that used it
            remedy = "materialize raw_images again"
            raise BadInput(row.path, f"cannot be used: {error.status.meaning}", remedy) from error
        grey = fitted(picture.grey, size)
        slices[index] = grey
        new_rows.append(_row(row, perceptual_hash(grey)))
        progress.step()
    return Shard(slices, tuple(new_rows))


def _row(row: ImageRow, phash: str) -> SliceRow:
    """The crop is the whole picture on a square, which reaches beyond its shorter sides."""
    edge = max(row.width, row.height)
    return SliceRow(
        patient=row.patient,
        histology=row.class_name,
        series_uid=row.split,
        sop_uid=row.sha256[:32],
        position_mm=0.0,
        lung_fraction=0.0,
        pixel_mm=0.0,
        phash=phash,
        stored_rows=row.height,
        stored_columns=row.width,
        crop_top=(row.height - edge) // 2,
        crop_left=(row.width - edge) // 2,
        crop_rows=edge,
        crop_columns=edge,
    )


def _commit(
    store: Store, dataset: Dataset, name: str, shard: Shard, raw: str, recipe: str, scratch: Path
) -> Artefact:
    tensors = scratch / f"{name}.safetensors"
    write_shard(shard, tensors)
    fields = asdict(SlicesManifest(dataset.name, name, name, recipe, raw, len(shard.rows), left_out={}))
    version = content_version(sha256_of(tensors), fields)
    artefact = store.commit(
        keys.slices_manifest(dataset.name, name, version),
        {f"{version}.safetensors": tensors, f"{version}.parquet": tensors.with_suffix(".parquet")},
        fields,
    )
    store.update_pointer(keys.slices_latest(dataset.name, name), {"version": version})
    return artefact
