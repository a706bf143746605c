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
from chestgan_core.publishing.writing.provenance import AskedCounts


class LabelsFile:
    """labels.parquet while it is written. asked: what the images so far were asked to show."""

    def __init__(self, write: Callable[[pa.Table], None]) -> None:
        self._write, self.asked = write, AskedCounts()

    def append(self, rows: Sequence[LabelRow]) -> None:
        """The rows of a tar."""
        self._write(pa.Table.from_pylist([_plain(row) for row in rows], schema=schema()))
        self.asked = self.asked.with_labels(row["boxes"] for row in rows)


@contextmanager
def labels_file(path: Path) -> Iterator[LabelsFile]:
    """The file, which appears when the block ends without an error."""
    with replacing(path) as part, parquet_stream(part, schema()) as write:
        yield LabelsFile(write)


def _plain(row: LabelRow) -> dict[str, Any]:
    """As the columns have it: no field is empty."""
    boxes = json.dumps(row["boxes"], separators=(",", ":"))
    return {**row, "boxes": boxes, "position": math.nan if row["position"] is None else row["position"]}
