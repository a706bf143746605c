"""The one way to read and write Parquet: bounds before memory, no thread that aborts the process at its end."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.local import parquet
from chestgan_core.local.parquet import read_parquet, write_parquet
from chestgan_core.local.parquet_pages import uncompressed_bytes

ROOT = Path(parquet.__file__).parents[2]
SCHEMA = pa.schema({"name": pa.string(), "seed": pa.int64()})
TABLE = pa.table({"name": ["a", "ä", "a"], "seed": [1, 2, 3]}, schema=SCHEMA)


@pytest.mark.parametrize("compression", ["snappy", "zstd"])
def test_what_is_written_is_read(compression: str, tmp_path: Path) -> None:
    data = write_parquet(TABLE, compression)  # type: ignore[arg-type]
    (tmp_path / "a.parquet").write_bytes(data)
    for source in (data, tmp_path / "a.parquet"):
        assert read_parquet(source, "here", "again").equals(TABLE)
        assert read_parquet(source, "here", "again", schema=SCHEMA, rows=3, exact=True).equals(TABLE)
        assert read_parquet(source, "here", "again", columns=["seed"]).column_names == ["seed"]
    assert write_parquet(TABLE, compression) == data  # type: ignore[arg-type]


def test_a_table_without_rows_is_read() -> None:
    assert read_parquet(write_parquet(TABLE.slice(0, 0)), "here", "again", schema=SCHEMA).num_rows == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not a readable Parquet file"),
        (b"PAR1", "is not a readable Parquet file"),
        (write_parquet(TABLE)[:-20], "is not a readable Parquet file"),
        (write_parquet(TABLE).replace(b"\xc3\xa4", b"\xff\xff"), "is not a readable Parquet file"),
        (write_parquet(TABLE.drop_columns(["seed"])), "has no column seed"),
        (
            write_parquet(TABLE.append_column("more", TABLE["seed"])),
            "does not have the columns of this version",
        ),
        (write_parquet(TABLE.slice(1)), "has 2 rows, not 3"),
    ],
)
def test_what_is_not_as_expected_is_one_line(data: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=f"^here: {said}.*; again$"):
        read_parquet(
            data, "here", "again", schema=SCHEMA, rows=3, exact=said.startswith("does"), error=BadInput
        )


def test_a_file_that_is_missing_a_folder_or_a_pipe(tmp_path: Path) -> None:
    with pytest.raises(DamagedObject, match="is not there"):
        read_parquet(tmp_path / "x", "here", "again")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(DamagedObject, match="is not a file"):
            read_parquet(path, "here", "again")


def bomb(kind: str) -> bytes:
    """Many equal rows: 1.2 GB of numbers or 1.4 GB of texts in memory."""
    if kind == "numbers":
        return write_parquet(pa.table({"seed": pa.chunked_array([pa.array([7] * 100_000)] * 1500)}), "zstd")
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 700_000, pa.int32()), ["x" * 2000])
    stream = pa.BufferOutputStream()
    pq.write_table(pa.table({"name": texts}), stream, store_schema=False)
    return bytes(stream.getvalue().to_pybytes())


@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_a_small_file_of_many_equal_rows_takes_no_memory(kind: str) -> None:
    data = bomb(kind)
    assert len(data) < 2e6
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DamagedObject, match="fit into 1,024 MiB"):
        read_parquet(data, "here", "again")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KB


@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_sizes_of_pages_are_those_that_were_written(compression: str, version: str) -> None:
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "noise": rng.standard_normal(50_000),
            "text": [f"{n % 7}" for n in range(50_000)],
            "list": [[1, 2]] * 50_000,
            "empty": pa.nulls(50_000, pa.int64()),
        }
    )
    stream = pa.BufferOutputStream()
    pq.write_table(
        table,
        stream,
        compression=compression,
        data_page_version=version,
        row_group_size=20_000,
        data_page_size=9000,
    )
    data = stream.getvalue().to_pybytes()
    metadata = pq.ParquetFile(pa.BufferReader(data)).metadata
    stated = sum(
        metadata.row_group(group).column(column).total_uncompressed_size
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    # The metadata count the headers, too.
    assert 0.9 * stated < uncompressed_bytes(metadata, data) <= stated


def test_a_page_that_states_more_than_the_metadata_is_refused() -> None:
    """A zigzag varint of 5 bytes in a header, in place of a smaller one of as many."""
    data = write_parquet(pa.table({"x": np.arange(40_000_000 // 8)}), "zstd")
    metadata = pq.ParquetFile(pa.BufferReader(data)).metadata
    assert uncompressed_bytes(metadata, data) < 2**26
    lies = lambda size: _with_page_size(data, metadata, size)  # noqa: E731
    with pytest.raises(DamagedObject, match=r"pages that do not fit|is not a readable"):
        read_parquet(lies(2**31 - 1), "here", "again")


def _with_page_size(data: bytes, metadata: pq.FileMetaData, size: int) -> bytes:
    """The file with another uncompressed size in the header of its first page."""
    start = (
        metadata.row_group(0).column(0).dictionary_page_offset
        or metadata.row_group(0).column(0).data_page_offset
    )
    at = start + 1
    while data[at] & 0x80:  # the type of the page
        at += 1
    at += 2  # the byte of field 2
    old = at
    while data[at] & 0x80:
        at += 1
    zigzag, digits = size << 1, bytearray()
    while zigzag:
        digits.append((zigzag & 0x7F) | 0x80)
        zigzag >>= 7
    digits[-1] &= 0x7F
    # The rest moves: the metadata find the page by its start, and the next one by what its header says.
    return data[:old] + bytes(digits) + data[at + 1 :]


@pytest.mark.parametrize("values", [[[["a"]]], [{"a": 1}], [b"raw"]])
def test_tables_without_a_schema_have_numbers_and_texts(values: list[object]) -> None:
    stream = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": values}), stream)
    with pytest.raises(DamagedObject, match="neither numbers nor texts"):
        read_parquet(stream.getvalue().to_pybytes(), "here", "again")


def test_a_column_of_missing_values_is_one_of_a_table_without_a_schema() -> None:
    data = write_parquet(pa.table({"images": [1, 2], "spread": [None, None]}))
    table = read_parquet(data, "history", "again")
    assert table.to_pylist() == [{"images": 1, "spread": None}, {"images": 2, "spread": None}]


def test_nobody_goes_around_it() -> None:
    around = re.compile(
        r"pyarrow\.parquet|pyarrow import .*parquet|import pyarrow\.dataset|read_parquet\(.*pandas|pq\."
    )
    found = [
        str(path.relative_to(ROOT))
        for folder in ("chestgan_core", "chestgan_assets")
        for path in (ROOT / folder).rglob("*.py")
        if path.name not in ("parquet.py", "parquet_pages.py")
        and around.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.slow
def test_a_process_that_read_parquet_ends_well_on_one_processor(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(write_parquet(TABLE))
    program = (
        "import torch, sys; from pathlib import Path; from chestgan_core.local.parquet import read_parquet\n"
        f"path = Path({str(tmp_path / 'a.parquet')!r})\n"
        "read_parquet(path, 'here', 'again'), read_parquet(path.read_bytes(), 'here', 'again')"
    )
    pinned = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})\n{program}"
    statuses = {subprocess.run([sys.executable, "-c", pinned]).returncode for _ in range(10)}
    assert statuses == {0}
