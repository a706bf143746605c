"""The labels of a synthetic set: what each image is, and where its bytes lie.

In: labels.parquet of a set, or where pyarrow is not installed, the JSON beside each image in its tars. Out: rows that
were checked against the manifest. Both hold the same; a million rows are some arrays, not a million objects.
"""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, overload

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import DamagedObject
from chestgan_core.local.files import is_regular
from chestgan_core.local.json_text import parse_json
from chestgan_core.publishing.reader.checked_fields import CheckedFields
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.png import max_png_bytes
from chestgan_core.publishing.reader.set_folder import LABELS, SetFolder
from chestgan_core.publishing.reader.tars import BLOCK, Member, members, read_member

if TYPE_CHECKING:
    import pyarrow as pa

REMEDY = "fetch the set again: files that are intact are not downloaded again"
MAX_BOXES = 8
"""Of one image; as many as a generator can be told."""
Boxes: TypeAlias = list[list[float]] | None
"""Of the tumours that an image was asked to show, [x0, y0, x1, y1] in pixels, x to the right, y down, from the outer
edge of the first pixel. []: none, which is as much a request as a box. None: nothing was said, so nothing is known."""
# Functional, because `class` is a word of Python.
LabelRow = TypedDict(
    "LabelRow",
    {
        "index": int,
        "seed": int,
        "class": str,
        "boxes": Boxes,
        "position": float | None,
        "sha256": str,
        "tar": str,
        "file": str,
        "offset": int,
        "bytes": int,
    },
)
"""One image. class: what it was to show, empty where the set has no classes. boxes: see Boxes. position: where in the
lungs it was to lie, from 0 at their base to 1 at their apex; None: nothing was said. sha256: over its levels
(levels.py). tar, file, offset, bytes: where its PNG lies."""
MAX_LABEL_BYTES = 64 * 2**10
"""Of the JSON beside an image."""
_SHA256 = re.compile("[0-9a-f]{64}")
_NUMBERS = ("index", "seed", "offset", "bytes")
_WITHOUT_BOXES = ("[]", "null")
_NOT_ASKED = "which is none of the conditions of this set"


@dataclass(frozen=True)
class Labels(Sequence[LabelRow]):
    """The rows of a set in the order of its images, each made when it is read.

    tars: names, which tar numbers. boxes: of the images that have some. asked: (N,) whether it was said where tumours
    are. position: (N,) NaN where nothing was said.
    """

    facts: SetFacts
    sha256: tuple[str, ...]
    tars: tuple[str, ...]
    tar: NDArray[np.int32]
    offset: NDArray[np.int64]
    bytes: NDArray[np.int64]
    boxes: dict[int, list[list[float]]]
    asked: NDArray[np.bool_]
    position: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.sha256)

    @overload
    def __getitem__(self, k: int) -> LabelRow: ...
    @overload
    def __getitem__(self, k: slice) -> list[LabelRow]: ...
    def __getitem__(self, k: int | slice) -> LabelRow | list[LabelRow]:
        if isinstance(k, slice):
            return [self[one] for one in range(len(self))[k]]
        k = range(len(self))[k]
        return {
            "index": k,
            "seed": self.facts.first_seed + k,
            "class": self.facts.class_of(k),
            "boxes": self.boxes.get(k, []) if self.asked[k] else None,
            "position": None if np.isnan(self.position[k]) else float(self.position[k]),
            "sha256": self.sha256[k],
            "tar": self.tars[self.tar[k]],
            "file": png_name(k),
            "offset": int(self.offset[k]),
            "bytes": int(self.bytes[k]),
        }

    def member(self, k: int, folder: Path) -> Member:
        """Where the PNG of image k lies, in a folder with the tars."""
        return Member(folder / self.tars[self.tar[k]], png_name(k), int(self.offset[k]), int(self.bytes[k]))


def png_name(k: int) -> str:
    """The file of image k in its tar."""
    return f"{k:06d}.png"


def json_name(k: int) -> str:
    """The file with the label of image k, right behind its image."""
    return f"{k:06d}.json"


def schema() -> "pa.Schema":
    """The columns of labels.parquet. boxes: as JSON, so that every reader of Parquet has it in one column; `null` where
    nothing was said. position: NaN there."""
    import pyarrow as pa

    def type_of(name: str) -> pa.DataType:
        return pa.int64() if name in _NUMBERS else pa.float64() if name == "position" else pa.string()

    return pa.schema({name: type_of(name) for name in LabelRow.__annotations__})


def label_json(row: Mapping[str, Any]) -> bytes:
    """What lies beside an image in its tar: one line, names sorted."""
    shown = {name: row[name] for name in ("index", "seed", "class", "boxes", "position", "sha256")}
    return json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()


def read_labels(folder: SetFolder) -> Labels:
    """All rows: of labels.parquet, or of the tars where pyarrow is not installed.

    Columns and fields that a later version adds are passed over. Raises DamagedObject: not Parquet, a column missing or
    of another type, a row too few or too many, a tar that the manifest does not list, a row that is not that of its
    image (number, seed, class), boxes or a position out of bounds or of a set that was not asked for them, a place
    outside of its tar.
    """
    if importlib.util.find_spec("pyarrow") is None:
        return labels_of_tars(folder)
    return labels_of_parquet(folder)


def labels_of_parquet(folder: SetFolder) -> Labels:
    """As read_labels, from labels.parquet."""
    from chestgan_core.local.parquet import read_parquet

    path, facts = folder.path / LABELS, folder.facts
    if not is_regular(path):
        raise DamagedObject(path, "is missing, or not a file", REMEDY)
    _require_room(folder)
    table = read_parquet(
        path, path, REMEDY, schema=schema(), rows=facts.images, max_bytes=2**20 + 2048 * facts.images
    )
    # Not to_numpy of Arrow: where pandas is installed, it is imported for that, a third of a second.
    columns: dict[str, Any] = {name: table[name].to_pylist() for name in table.column_names}
    columns |= {name: np.array(columns[name], np.int64) for name in _NUMBERS}
    columns["position"] = np.array(columns["position"], np.float64)
    if fault := next(_faults(columns, folder), None):
        raise DamagedObject(path, fault, REMEDY)
    numbers = {name: at for at, name in enumerate(folder.tars)}
    return Labels(
        facts=facts,
        sha256=tuple(columns["sha256"]),
        tars=tuple(folder.tars),
        tar=np.array([numbers[name] for name in columns["tar"]], np.int32),
        offset=columns["offset"],
        bytes=columns["bytes"],
        boxes={
            at: boxes
            for at, text in enumerate(columns["boxes"])
            if text not in _WITHOUT_BOXES and (boxes := _boxes(json.loads(text), facts, f"{path}: row {at}"))
        },
        asked=np.array([text != "null" for text in columns["boxes"]]),
        position=columns["position"],
    )


def labels_of_tars(folder: SetFolder) -> Labels:
    """As read_labels, from the JSON beside each image. Raises DamagedObject, too, where an image has none."""
    facts, k = folder.facts, 0
    _require_room(folder)
    places: list[tuple[int, int, int]] = []
    digests: list[str] = []
    boxes: dict[int, list[list[float]]] = {}
    asked: list[bool] = []
    positions: list[float] = []
    for number, tar in enumerate(folder.tars):
        for png, label in pairs(folder.path / tar):
            if png.name != png_name(k) or k >= facts.images:
                raise DamagedObject(png.tar, f"holds {png.name} where {png_name(k)} should be", REMEDY)
            row = read_label(read_member(label), k, facts, f"{label.tar}: {label.name}")
            places.append((number, png.offset, png.bytes))
            digests.append(row["sha256"])
            if row["boxes"]:
                boxes[k] = row["boxes"]
            asked.append(row["boxes"] is not None)
            positions.append(np.nan if row["position"] is None else row["position"])
            k += 1
    if k != facts.images:
        raise DamagedObject(folder.path, f"holds {k:,} images, the manifest says {facts.images:,}", REMEDY)
    tar, offset, size = np.array(places, np.int64).T
    if int(size.max()) > max_png_bytes(facts.resolution, facts.bits):
        raise DamagedObject(folder.path, "holds a file too large for an image of this set", REMEDY)
    return Labels(
        facts=facts,
        sha256=tuple(digests),
        tars=tuple(folder.tars),
        tar=tar.astype(np.int32),
        offset=offset,
        bytes=size,
        boxes=boxes,
        asked=np.array(asked),
        position=np.array(positions, np.float64),
    )


def pairs(tar: Path) -> Iterator[tuple[Member, Member]]:
    """The image and the label of each image of a tar, without reading them. Raises DamagedObject."""
    files = members(tar)
    for png in files:
        label = next(files, None)
        stem = png.name.removesuffix(".png")
        if label is None or (png.name, label.name) != (f"{stem}.png", f"{stem}.json"):
            raise DamagedObject(tar, f"has no label behind {png.name}", REMEDY)
        if label.bytes > MAX_LABEL_BYTES:
            raise DamagedObject(
                tar, f"holds {label.name} of {label.bytes:,} bytes, too many for a label", REMEDY
            )
        yield png, label


class ImageLabel(TypedDict):
    """What read_label reads of the JSON beside an image; number, seed and class are those of the image."""

    sha256: str
    boxes: Boxes
    position: float | None


def read_label(data: bytes, k: int, facts: SetFacts, where: str) -> ImageLabel:
    """The JSON beside image k. Raises DamagedObject: a field out of bounds, or not that of image k."""
    fields = CheckedFields(parse_json(data, where, REMEDY), where, REMEDY, "the label of an image")
    seed, shown = facts.first_seed + k, facts.class_of(k)
    found = (fields.whole("index", 0, 2**32), fields.whole("seed", 0, 2**33), fields.text("class"))
    if found != (k, seed, shown):
        raise DamagedObject(where, _not_that_of(k, facts), REMEDY)
    return {
        "sha256": fields.text("sha256", _SHA256.pattern, 64),
        "boxes": _boxes_of(fields, facts, where),
        "position": _position_of(fields, facts, where),
    }


def _not_that_of(k: int, facts: SetFacts) -> str:
    shown = facts.class_of(k)
    return f"is not that of image {k}: seed {facts.first_seed + k}{f', class {shown}' if shown else ''}"


def _boxes(value: object, facts: SetFacts, where: str) -> Boxes:
    return _boxes_of(CheckedFields({"boxes": value}, where, REMEDY, "the label of an image"), facts, where)


def _boxes_of(fields: CheckedFields, facts: SetFacts, where: str) -> Boxes:
    if fields.is_null("boxes"):
        return None
    if not facts.has_boxes:
        raise DamagedObject(where, f"has boxes, {_NOT_ASKED}", REMEDY)
    boxes = fields.numbers("boxes", 4, 0, facts.resolution, MAX_BOXES)
    if any(x0 >= x1 or y0 >= y1 for x0, y0, x1, y1 in boxes):
        raise DamagedObject(where, "has a box whose right or lower edge lies before the other", REMEDY)
    return boxes


def _position_of(fields: CheckedFields, facts: SetFacts, where: str) -> float | None:
    position = fields.number_or_null("position", 0, 1)
    if position is not None and not facts.has_position:
        raise DamagedObject(where, f"has a position, {_NOT_ASKED}", REMEDY)
    return position


def _require_room(folder: SetFolder) -> None:
    """An image takes two files of a tar, a header and a block each: nothing is allocated for more than fit in."""
    if folder.images * 4 * BLOCK > sum(folder.tars.values()):
        raise DamagedObject(
            folder.path, f"has {folder.images:,} image(s), more than fit into its tars", REMEDY
        )


def _faults(columns: dict[str, Any], folder: SetFolder) -> Iterator[str]:
    """What is wrong with the columns of labels.parquet; the rows are as many as the manifest says."""
    facts, count = folder.facts, folder.images
    at = np.arange(count)
    unknown = [name for name in dict.fromkeys(columns["tar"]) if name not in folder.tars]
    if unknown:
        yield f"names {unknown[0][:100]}, which the manifest does not list"
        return
    shown = [facts.class_of(k) for k in range(len(facts.classes) or 1)]
    right = (
        (columns["index"] == at)
        & (columns["seed"] == at + facts.first_seed)
        & np.array([found == shown[k % len(shown)] for k, found in enumerate(columns["class"])])
    )
    if not right.all():
        k = int(np.argmin(right))
        yield f"row {k} {_not_that_of(k, facts)}"
    for k, (file, digest) in enumerate(zip(columns["file"], columns["sha256"], strict=True)):
        if file != png_name(k) or not _SHA256.fullmatch(digest):
            yield f"row {k} does not name {png_name(k)} or has no sha256"
    ends = np.array([folder.tars[name] for name in columns["tar"]], np.int64)
    offset, size = columns["offset"], columns["bytes"]
    inside = (
        (offset >= BLOCK) & (offset % BLOCK == 0) & (size > 0) & (offset < ends) & (size <= ends - offset)
    )
    inside &= size <= max_png_bytes(facts.resolution, facts.bits)
    if not inside.all():
        yield f"row {int(np.argmin(inside))} is an image outside of its tar, or too large for one of this set"
    for k, text in enumerate(columns["boxes"]):
        if text not in _WITHOUT_BOXES and (len(text) > MAX_LABEL_BYTES or not _is_json(text)):
            yield f"row {k} has boxes that are not JSON"
        if text == "[]" and not facts.has_boxes:
            yield f"row {k} has boxes, {_NOT_ASKED}"
    position = columns["position"]
    right = np.isnan(position)
    if facts.has_position:
        right |= (position >= 0) & (position <= 1)
    if not right.all():
        k = int(np.argmin(right))
        yield (
            f"row {k} has a position that is not from 0 to 1"
            if facts.has_position
            else f"row {k} has a position, {_NOT_ASKED}"
        )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
