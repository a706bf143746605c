"""A reader study as it is when it opens: its images chosen, in an order that says nothing, its key apart from them.

In: a design, the published set and the real images for it. Out: `reading/studies/<study>/<version>/` with
pictures.safetensors (which the server reads) and key.json (which only the analysis reads). The same design and the same
images give the same version.
"""

import random
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from chestgan_core.errors import BadInput, DamagedObject, NotInStore, nearest
from chestgan_core.imaging.windows import Unit
from chestgan_core.local.json_text import parse_json
from chestgan_core.publishing.reader.set_reader import SetReader
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.versions.status import keep_unless_withdrawn, require_not_withdrawn
from chestgan_core.reading.design import Name, StudyDesign
from chestgan_core.reading.images.blind_png import blind_png
from chestgan_core.reading.images.choosing import Choice, choose
from chestgan_core.reading.images.pictures import PICTURES, pack_pictures, unpack_pictures
from chestgan_core.reading.images.real_images import RealPool, read_real_images
from chestgan_core.reading.study_key import KeyRow, StudyKey
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json, content_version, parse_typed
from chestgan_core.store.store import Store, commits

KEY = "key.json"
VERSION = 1  # raise it when a design gives other images, or another order
REMEDY = "freeze the study again"
MAX_PICTURE_BYTES = 2**30  # of all pictures of a study, which the server keeps in memory


@dataclass(frozen=True)
class _Manifest:
    """What everybody may know: no truth."""

    design: StudyDesign
    version: Name
    real_images: Name
    resolution: Annotated[int, Field(ge=1, le=8_192)]
    window: tuple[float, float]
    window_unit: Unit
    count: Annotated[int, Field(ge=8, le=100_000)]
    warm_up: tuple[int, ...]
    kind: Literal["reader-study"] = "reader-study"


@dataclass(frozen=True)
class FrozenStudy:
    """An opened study without its key. Numbers of images are 0 to count - 1 and say nothing about the truth.

    resolution: pixels a side. window: values of grey 0 and of grey 255, in window_unit. warm_up, main: numbers of the
    images of both parts. real_images: version of the real images that were chosen from. key_sha256: hex, of key.json.
    """

    design: StudyDesign
    version: str
    count: int
    resolution: int
    window: tuple[float, float]
    window_unit: str
    warm_up: tuple[int, ...]
    main: tuple[int, ...]
    real_images: str
    key_sha256: str
    pictures: NDArray[np.uint8] = field(repr=False, compare=False)

    def picture(self, item: int) -> bytes:
        """The image as PNG: of any two images as many bytes. Raises IndexError."""
        if not 0 <= item < self.count:
            raise IndexError(f"there is no image {item}: the study has {self.count}")
        return blind_png(self.pictures[item])

    @property
    def picture_bytes(self) -> int:
        """Size of each picture."""
        return len(self.picture(0))


def freeze_study(store: Store, design: StudyDesign) -> FrozenStudy:
    """Choose the images of a study, commit them with their key, and open it. Again with the same design: the same.

    Args:
        store: Its keys need the right to read `synthetic/` and to read and write `reading/`.
        design: What is asked, about which version of a set, and how many images.

    Returns:
        The study without its key.

    Raises:
        NotInStore: There is no such version of the set, or no real images were collected for it.
        SetWithdrawn: The version was withdrawn; says why.
        BadInput: Too few images on a side (says how many there are and what would do), or more than fit into memory.
        DamagedObject: The set or the real images are not what was committed.
        StoreError: The store refused, or did not answer.
    """
    require_published(store, design)
    pool = read_real_images(store, design.set_name, design.set_version)
    with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
        reader = SetReader(fetch_set(store, design.set_name, design.set_version, Path(scratch) / "set"))
        facts = reader.facts
        _require_same_size(design, pool, facts.resolution)
        classes = [reader.label(k)["class"] for k in range(len(reader))]
        choice = choose(design, pool.rows, classes)
        synthetic = {k: reader.grey(k) for k in (*choice.synthetic, *choice.synthetic_warm_up)}
    version = content_version(VERSION, design.model_dump(mode="json"), pool.version)
    shown = _shown(choice, design, version)
    rows, pictures = [], []
    for item, (truth, index, warm_up) in enumerate(shown):
        row = KeyRow(item=item, truth="synthetic", image_class="", warm_up=warm_up)
        if truth == "real":
            real = pool.rows[index]
            row = row.model_copy(update={**dict(real), "truth": "real"})
            pictures.append(pool.pictures[index])
        else:
            row = row.model_copy(update={"image_class": classes[index]})
            pictures.append(synthetic[index])
        rows.append(row)
    key = StudyKey(study=design.name, version=version, rows=tuple(rows))
    fields = {
        "kind": "reader-study",
        "design": design.model_dump(mode="json"),
        "version": version,
        "real_images": pool.version,
        "resolution": facts.resolution,
        "window": facts.window.ends,
        "window_unit": facts.window_unit,
        "count": len(rows),
        "warm_up": [row.item for row in rows if row.warm_up],
    }
    files: dict[str, Path | bytes] = {
        PICTURES: pack_pictures(np.stack(pictures)),
        KEY: canonical_json(key.model_dump(mode="json")),
    }
    manifest_key = keys.reader_study_manifest(design.name, version)
    store.commit(manifest_key, files, fields)
    keep_unless_withdrawn(store, design.set_name, design.set_version, manifest_key)
    return open_study(store, design.name, version)


def open_study(store: Store, name: str, version: str) -> FrozenStudy:
    """A frozen study with its pictures in memory, verified; the key is not read.

    Raises NotInStore, DamagedObject, StoreError.
    """
    artefact, manifest = store.read_typed(
        keys.reader_study_manifest(name, version), _Manifest, REMEDY, "a reader study"
    )
    where = store.uri(artefact.manifest_key)
    warm_up = set(manifest.warm_up)
    if (manifest.design.name, manifest.version) != (name, version):
        raise DamagedObject(where, "is the manifest of another study or version", REMEDY)
    if len(warm_up) != manifest.design.warm_up or not warm_up <= set(range(manifest.count)):
        raise DamagedObject(where, "has another warm-up than its design", REMEDY)
    if manifest.count != 2 * manifest.design.images_per_side + len(warm_up):
        raise DamagedObject(where, "has another number of images than its design", REMEDY)
    shape = (manifest.count, manifest.resolution, manifest.resolution)
    pictures = unpack_pictures(store.read(artefact, PICTURES), shape, f"{where}: {PICTURES}", REMEDY)
    return FrozenStudy(
        design=manifest.design,
        version=version,
        count=manifest.count,
        resolution=manifest.resolution,
        window=manifest.window,
        window_unit=manifest.window_unit,
        warm_up=manifest.warm_up,
        main=tuple(item for item in range(manifest.count) if item not in warm_up),
        real_images=manifest.real_images,
        key_sha256=artefact.find(KEY).sha256,
        pictures=pictures,
    )


def read_key(store: Store, study: FrozenStudy) -> StudyKey:
    """Which images are real. For the analysis of a closed study, and to look for give-aways before one opens.

    Raises NotInStore, DamagedObject.
    """
    artefact = store.read_manifest(keys.reader_study_manifest(study.design.name, study.version))
    where = f"{store.uri(artefact.manifest_key)}: {KEY}"
    fields = parse_json(store.read(artefact, KEY), where, REMEDY)
    key = parse_typed(StudyKey, fields, where, REMEDY, "the key of a reader study")
    warm_up = tuple(row.item for row in key.rows if row.warm_up)
    if [row.item for row in key.rows] != list(range(study.count)) or warm_up != study.warm_up:
        raise DamagedObject(where, "is not the key of the images of its study", REMEDY)
    return key


def require_published(store: Store, design: StudyDesign) -> None:
    """Raises NotInStore (there is no such version), SetWithdrawn (says why), DamagedObject, StoreError."""
    if store.head(keys.set_manifest(design.set_name, design.set_version)) is None:
        raise NotInStore(
            f"study {design.name}",
            f"there is no version {design.set_version} of the set {design.set_name} in the store",
            "choose one that chestgan sets list shows",
        )
    require_not_withdrawn(store, design.set_name, design.set_version)


def _require_same_size(design: StudyDesign, pool: RealPool, resolution: int) -> None:
    if pool.pictures.shape[-1] != resolution:
        cause = f"real images have {pool.pictures.shape[-1]} pixels a side, synthetic ones {resolution}"
        raise BadInput(f"study {design.name}", cause, "materialize reader_study_images again")
    images = 2 * design.images_per_side + design.warm_up
    if images * resolution**2 > MAX_PICTURE_BYTES:
        raise BadInput(
            f"study {design.name}",
            f"its {images} images of {resolution} x {resolution} pixels are more than a server keeps in memory",
            f"lower images_per_side to {(MAX_PICTURE_BYTES // resolution**2 - design.warm_up) // 2}",
        )


def _shown(choice: Choice, design: StudyDesign, version: str) -> list[tuple[str, int, bool]]:
    """Truth, index and warm-up of each image, in the order of their numbers: one shuffle of everything."""
    shown = [("real", index, False) for index in choice.real]
    shown += [("synthetic", index, False) for index in choice.synthetic]
    shown += [("real", index, True) for index in choice.real_warm_up]
    shown += [("synthetic", index, True) for index in choice.synthetic_warm_up]
    random.Random(f"order {version} {design.seed}").shuffle(shown)  # noqa: S311 (no secret)
    return shown


def newest_study(store: Store, name: str) -> str:
    """The version of a study that was frozen last. Raises NotInStore, with the names most like it."""
    prefix = keys.reader_studies_prefix()
    found = [commit.manifest_key for commit in commits(store, f"{prefix}{keys.checked_name(name)}/")]
    if found:
        return found[-1].split("/")[-2]
    names = {item.key.removeprefix(prefix).split("/")[0] for item in store.list(prefix)}
    raise NotInStore(f"study {name}", "is not in the store", nearest(name, names))
