"""Real slices for reader studies: held out from the training of a set's generator, and in the look of the set.

In: a published set, the run that made it, and the training set of that run. Out:
`reading/real-images/<set>/<set version>/<version>/` with pictures.safetensors and rows.json, and the pointer. Whoever
makes a study reads this artefact and the set: no slices, training sets or weights, and no name of a patient.
"""

import logging
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.imaging.windows import Unit, Window
from chestgan_core.local.json_text import parse_json
from chestgan_core.publishing.versions.finding import newest_version
from chestgan_core.publishing.versions.status import keep_unless_withdrawn
from chestgan_core.reading.answers import Share
from chestgan_core.reading.design import Name
from chestgan_core.reading.images.pictures import PICTURES, pack_pictures, unpack_pictures
from chestgan_core.reading.study_key import Box
from chestgan_core.store import keys
from chestgan_core.store.artefacts import Artefact, canonical_json, content_version, parse_typed
from chestgan_core.store.store import Store

log = logging.getLogger(__name__)

ROWS = "rows.json"
MAX_IMAGES, MAX_PER_PATIENT = 5_000, 64
VERSION = 1  # raise it when other images are chosen, or the same ones look different
REMEDY = "materialize reader_study_images again"


class RealRow(BaseModel):
    """One real image. image_class: histology letter or folder. patient: from 1, of this artefact only. level: between
    base (0) and apex (1) of the lungs in its series; None where it is not known. boxes: tumours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_class: Annotated[str, Field(max_length=128)] = ""
    patient: Annotated[int, Field(ge=1)]
    level: Share | None = None
    boxes: Annotated[tuple[Box, ...], Field(max_length=100)] = ()


@dataclass(frozen=True)
class Collected:
    """pictures: (N, R, R) uint8. rows: N. held_out: slices that there were to choose from. window: of black and white.

    run: that made the set. training_set: version of the one that it was trained on.
    """

    run: str
    training_set: str
    window: Window
    held_out: int
    rows: tuple[RealRow, ...]
    pictures: NDArray[np.uint8] = field(repr=False)


@dataclass(frozen=True)
class _Rows:
    rows: Annotated[tuple[RealRow, ...], Field(max_length=MAX_IMAGES)]


@dataclass(frozen=True)
class _Manifest:
    """held_out: slices on that side of the training set, of which `images` were chosen."""

    set: Name
    set_version: Name
    run: Name
    training_set: Name
    resolution: Annotated[int, Field(ge=1, le=8_192)]
    window: tuple[float, float]
    window_unit: Unit
    images: Annotated[int, Field(ge=1, le=MAX_IMAGES)]
    patients: Annotated[int, Field(ge=1)]
    held_out: Annotated[int, Field(ge=1)]
    version: Name
    kind: Literal["reader-study-images"] = "reader-study-images"


@dataclass(frozen=True)
class RealPool:
    """The real images that a study of one version of a set chooses from. pictures: (N, R, R) uint8. rows: N.

    run: that made the set. training_set: version of the one it was trained on.
    """

    set_name: str
    set_version: str
    version: str
    run: str
    training_set: str
    rows: tuple[RealRow, ...]
    pictures: NDArray[np.uint8] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def patients(self) -> int:
        """How many patients the images are of."""
        return len({row.patient for row in self.rows})

    @property
    def classes(self) -> dict[str, int]:
        """Class -> number of images."""
        return dict(sorted(Counter(row.image_class for row in self.rows).items()))


def read_real_images(store: Store, set_name: str, set_version: str | None = None) -> RealPool:
    """The real images for a version of a set, by default the newest.

    Raises NotInStore (none were collected), DamagedObject, StoreError.
    """
    set_version = set_version or newest_version(store, set_name)
    try:
        (version,) = store.read_pointer(keys.real_images_latest(set_name, set_version), "version")
    except NotInStore as error:
        cause = f"has no real images to compare version {set_version} with"
        remedy = f"materialize reader_study_images, or run chestgan reading images {set_name}"
        raise NotInStore(f"set {set_name}", cause, remedy) from error
    key = keys.real_images_manifest(set_name, set_version, version)
    artefact, manifest = store.read_typed(key, _Manifest, REMEDY, "the manifest of real images")
    where = store.uri(artefact.manifest_key)
    fields = parse_json(store.read(artefact, ROWS), where, REMEDY)
    rows = parse_typed(_Rows, fields, f"{where}: {ROWS}", REMEDY, "the rows of real images").rows
    shape = (manifest.images, manifest.resolution, manifest.resolution)
    if len(rows) != manifest.images:
        raise DamagedObject(where, f"has {len(rows)} rows for {manifest.images} images", REMEDY)
    pictures = unpack_pictures(store.read(artefact, PICTURES), shape, f"{where}: {PICTURES}", REMEDY)
    return RealPool(set_name, set_version, version, manifest.run, manifest.training_set, rows, pictures)


def collect_real_images(
    store: Store,
    set_name: str,
    set_version: str | None = None,
    folder: Path | None = None,
    *,
    max_images: int = MAX_IMAGES,
    max_per_patient: int = MAX_PER_PATIENT,
) -> Artefact:
    """Commit the held-out real slices that a version of a set (by default the newest) may be compared with.

    The slices go through the resizing and the window of the training, and the one mapping to grey levels that published
    images went through. Of one patient at most max_per_patient, spread over the positions; the same set and training
    set give the same version. folder: scratch.

    Raises NotInStore (no such set, or its run or training set is not in the store), DamagedObject, BadInput (nothing is
    held out; slices of a patient who was trained on), StoreError.
    """
    from chestgan_core.reading.images.collecting import collect

    set_version = set_version or newest_version(store, set_name)
    with tempfile.TemporaryDirectory(prefix="chestgan-", dir=folder) as scratch:
        found = collect(store, set_name, set_version, Path(scratch), max_images, max_per_patient)
    return commit_real_images(store, set_name, set_version, found)


def commit_real_images(store: Store, set_name: str, set_version: str, found: Collected) -> Artefact:
    """Commit what was collected for a version of a set, and make it the newest. Raises StoreError, SetWithdrawn."""
    rows = [row.model_dump(mode="json") for row in found.rows]
    fields = {
        "kind": "reader-study-images",
        "set": set_name,
        "set_version": set_version,
        "run": found.run,
        "training_set": found.training_set,
        "resolution": found.pictures.shape[-1],
        "window": found.window.ends,
        "window_unit": found.window.unit,
        "images": len(rows),
        "patients": len({row.patient for row in found.rows}),
        "held_out": found.held_out,
    }
    pictures, table = pack_pictures(found.pictures), canonical_json({"rows": rows})
    version = content_version(VERSION, fields, pictures, table)
    key = keys.real_images_manifest(set_name, set_version, version)
    artefact = store.commit(key, {PICTURES: pictures, ROWS: table}, {**fields, "version": version})
    keep_unless_withdrawn(store, set_name, set_version, key)
    store.update_pointer(keys.real_images_latest(set_name, set_version), {"version": version})
    log.info(
        f"reader_study_images {set_name} {set_version}  {len(rows)} of {found.held_out} held-out slices, "
        f"of {fields['patients']} patient(s)"
    )
    return artefact
