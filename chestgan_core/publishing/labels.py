"""labels.parquet of a synthetic set: one row per image.

In: rows, or the folder of a set. Out: the file, or rows whose types and tars were checked.
"""

from pathlib import Path
from typing import TypedDict, cast

import pyarrow as pa
import pyarrow.parquet as pq

from chestgan_core.errors import DamagedObject
from chestgan_core.local.files import replacing
from chestgan_core.publishing.set_folder import LABELS, SetFolder

_NUMBER: pa.DataType = pa.int64()
_TEXT: pa.DataType = pa.string()
SCHEMA = pa.schema(
    {"index": _NUMBER, "seed": _NUMBER, "class": _TEXT, "tar": _TEXT, "file": _TEXT, "sha256": _TEXT}
)
# Functional, because `class` is a word of Python.
LabelRow = TypedDict(
    "LabelRow", {"index": int, "seed": int, "class": str, "tar": str, "file": str, "sha256": str}
)
REMEDY = "fetch the set again: files that are intact are not downloaded again"


def write_labels(rows: list[LabelRow], path: Path) -> None:
    """Write all rows; the same rows give the same bytes."""
    with replacing(path) as part:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), part)


def read_labels(folder: SetFolder) -> list[LabelRow]:
    """All rows, in order. Columns that a later version adds are passed over.

    Raises DamagedObject: not Parquet, a column missing or of another type, a row too few or too many, a tar that the
    manifest does not list.
    """
    path = folder.path / LABELS
    try:
        table = pq.read_table(path)
        table = table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowException, KeyError, OSError) as error:
        raise DamagedObject(path, f"cannot be read ({error})", REMEDY) from error
    if any(column.null_count for column in table.columns):
        raise DamagedObject(path, "has empty fields", REMEDY)
    rows = cast(list[LabelRow], table.to_pylist())
    if len(rows) != folder.images:
        raise DamagedObject(path, f"has {len(rows)} rows, but the set has {folder.images} images", REMEDY)
    if unknown := {row["tar"] for row in rows} - {folder.name(item) for item in folder.objects}:
        raise DamagedObject(path, f"names {min(unknown)}, which the manifest does not list", REMEDY)
    return rows
