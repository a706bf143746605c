"""labels.parquet of a set, written tar by tar, so that memory does not grow with the set.

In: the rows of one tar after the other. Out: the file; the same rows give the same bytes.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from chestgan_core.local.files import replacing
from chestgan_core.local.parquet import parquet_stream
from chestgan_core.publishing.reader.labels import LabelRow, schema


@contextmanager
def labels_file(path: Path) -> Iterator[Callable[[Sequence[LabelRow]], None]]:
    """The function that appends the rows of a tar; the file appears when the block ends without an error."""
    columns = schema()

    def append(rows: Sequence[LabelRow]) -> None:
        write(pa.Table.from_pylist([_plain(row) for row in rows], schema=columns))

    with replacing(path) as part, parquet_stream(part, columns) as write:
        yield append


def _plain(row: LabelRow) -> dict[str, Any]:
    """As the columns have it: no field is empty."""
    boxes = json.dumps(row["boxes"], separators=(",", ":"))
    return {**row, "boxes": boxes, "position": math.nan if row["position"] is None else row["position"]}
