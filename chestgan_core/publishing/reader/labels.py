"""labels.parquet of a synthetic set: one row per image.

In: rows, or the folder of a set. Out: the file, or rows whose types and tars were checked.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict, cast

import pyarrow as pa

from chestgan_core.errors import DamagedObject
from chestgan_core.local.files import is_regular, replacing
from chestgan_core.local.parquet import read_parquet, write_parquet
from chestgan_core.publishing.reader.set_folder import LABELS, SetFolder

_NUMBER: pa.DataType = pa.int64()
_TEXT: pa.DataType = pa.string()
SCHEMA = pa.schema(
    {"index": _NUMBER, "seed": _NUMBER, "class": _TEXT, "tar": _TEXT, "file": _TEXT, "sha256": _TEXT}
)
# Functional, because `class` is a word of Python.
LabelRow = TypedDict(
    "LabelRow", {"index": int, "seed": int, "class": str, "tar": str, "file": str, "sha256": str}
)
_MIN_IMAGE_BYTES = 1024  # of a tar: the header of a file, and one block of it
_FILE, _SHA256 = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"), re.compile(r"[0-9a-f]{64}")
REMEDY = "fetch the set again: files that are intact are not downloaded again"


def write_labels(rows: list[LabelRow], path: Path) -> None:
    """Write all rows; the same rows give the same bytes."""
    with replacing(path) as part:
        part.write_bytes(write_parquet(pa.Table.from_pylist(rows, schema=SCHEMA)))


def read_labels(folder: SetFolder) -> list[LabelRow]:
    """All rows, in order. Columns that a later version adds are passed over.

    Raises DamagedObject: not Parquet, a column missing or of another type, a row too few or too many, a tar that the
    manifest does not list, a row that is not that of its image (number, seed, class), two rows of one file.
    """
    path = folder.path / LABELS
    if not is_regular(path):
        raise DamagedObject(path, "is missing, or not a file", REMEDY)
    tars = {folder.name(item): item.bytes for item in folder.objects if folder.name(item).endswith(".tar")}
    if folder.images * _MIN_IMAGE_BYTES > sum(tars.values()):
        raise DamagedObject(
            folder.path, f"has {folder.images:,} image(s), more than fit into its tars", REMEDY
        )
    table = read_parquet(
        path, path, REMEDY, schema=SCHEMA, rows=folder.images, max_bytes=_max_bytes(folder.images)
    )
    rows = cast(list[LabelRow], table.to_pylist())
    if fault := next(_faults(rows, folder, set(tars)), None):
        raise DamagedObject(path, fault, REMEDY)
    return rows


def _max_bytes(images: int) -> int:
    """More than the labels of so many images take in memory."""
    return 2**20 + 2048 * images


def _faults(rows: list[LabelRow], folder: SetFolder, tars: set[str]) -> Iterator[str]:
    facts, seen = folder.facts, set()
    for at, row in enumerate(rows):
        place = (row["tar"], row["file"])
        if row["tar"] not in tars:
            yield f"names {row['tar'][:100]}, which the manifest does not list"
        if not _FILE.fullmatch(row["file"]) or not _SHA256.fullmatch(row["sha256"]):
            yield f"row {at} has no name or no sha256 of a file"
        if place in seen:
            yield f"names {row['tar']}/{row['file']} twice"
        seen.add(place)
        seed = facts.first_seed + at
        shown = facts.classes[seed % len(facts.classes)] if facts.classes else ""
        if (row["index"], row["seed"], row["class"]) != (at, seed, shown):
            yield f"row {at} is not that of image {at}: seed {seed}{f', class {shown}' if shown else ''}"
