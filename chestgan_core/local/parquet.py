"""Parquet: the one way in and the one way out.

In: a file, or bytes of one, that may come from anybody. Out: an Arrow table whose columns, types, rows and size are
those that the caller expects; bytes of a file, equal for equal tables.

Nothing here reads in threads of Arrow. `pyarrow.parquet.read_table` does: a thread that still has a Python object (a
BytesIO) when the interpreter ends aborts the process, after its work was done and with exit status 134. So no other
module imports pyarrow.parquet; tests/local/test_parquet.py checks it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chestgan_core.errors import ChestganError, DamagedObject
from chestgan_core.local.parquet_pages import uncompressed_bytes

MAX_BYTES = 2**30
"""Of the values of a table in memory: ten times the largest that the pipeline writes (a million rows of slices)."""


def read_parquet(
    source: Path | bytes,
    where: object,
    remedy: str,
    *,
    schema: pa.Schema | None = None,
    columns: Sequence[str] | None = None,
    rows: int | None = None,
    exact: bool = False,
    max_bytes: int = MAX_BYTES,
    error: type[ChestganError] = DamagedObject,
) -> pa.Table:
    """A Parquet file as a table. Sizes are checked before they are allocated, texts are valid UTF-8.

    Args:
        source: The file, or its bytes.
        where: What an error names.
        remedy: What an error says to do.
        schema: Columns that must be there with exactly these types, without empty fields; only they are read.
        columns: Names of columns to read, of any type, where there is no schema. By default all.
        rows: How many rows there must be.
        exact: Refuse columns beyond the schema.
        max_bytes: Refuse a file whose pages, texts or numbers take more in memory.
        error: The class of the error.

    Returns:
        The table, in the order of the schema or of the columns.

    Raises:
        ChestganError: Of the class `error`: the file cannot be read, is not Parquet, or not what was expected.

    Examples:
        >>> data = write_parquet(pa.table({"seed": [3, 4]}))
        >>> read_parquet(data, "seeds.parquet", "write it again", columns=["seed"]).to_pylist()
        [{'seed': 3}, {'seed': 4}]
    """
    try:
        data = _bytes_of(source, max_bytes)
        with _opened(data) as file:
            names = _names(file, schema, columns, rows, exact, max_bytes)
            if uncompressed_bytes(file.metadata, data) > max_bytes:
                raise _Unexpected(f"has pages that do not fit into {max_bytes / 2**20:,.0f} MiB")
            texts = [name for name in names if pa.types.is_string(file.schema_arrow.field(name).type)]
        # Texts stay a dictionary until their size is known: of one that is repeated 10^8 times the file has one.
        with _opened(data, texts) as file:
            table = _read(file, names, texts, max_bytes)
        if schema is not None:
            table = _without_empty_fields(table, schema)
    except _Unexpected as found:
        raise error(where, str(found), remedy) from found
    except FileNotFoundError as missing:
        raise error(where, "is not there", remedy) from missing
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError) as damage:
        raise error(
            where, "is not a readable Parquet file: cut short, damaged or of another kind", remedy
        ) from damage
    return table


def iter_parquet(path: Path, columns: Sequence[str], batch: int) -> Iterator[pa.RecordBatch]:
    """Batches of some columns of a large file that is part of an installation. Raises what pyarrow raises."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        yield from file.iter_batches(batch, columns=list(columns), use_threads=False)


def column_names(path: Path) -> list[str]:
    """The columns of a Parquet file. Raises what pyarrow raises."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        return list(file.schema_arrow.names)


def write_parquet(table: pa.Table, compression: Literal["snappy", "zstd"] = "snappy") -> bytes:
    """The bytes of a Parquet file; equal tables give equal bytes."""
    return write_parts([table], table.schema, compression)


def write_parts(
    parts: Iterable[pa.Table], schema: pa.Schema, compression: Literal["snappy", "zstd"] = "snappy"
) -> bytes:
    """The bytes of a Parquet file of tables behind each other, each a row group; one table at a time is in memory."""
    stream = pa.BufferOutputStream()
    with pq.ParquetWriter(stream, schema, compression=compression) as writer:
        for part in parts:
            writer.write_table(part)
    data: bytes = stream.getvalue().to_pybytes()
    return data


@contextmanager
def parquet_stream(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """A Parquet file that is written table by table, each a row group: memory does not grow with the file.

    Yields the function that appends a table. The same tables in the same order give the same bytes. The file is
    complete when the block has ended. Raises OSError.
    """
    with pq.ParquetWriter(str(path), schema, compression="snappy") as writer:
        yield writer.write_table


class _Unexpected(Exception):
    """What is wrong with a file, as the middle of a sentence."""


def _bytes_of(source: Path | bytes, limit: int) -> bytes:
    """The whole file: a mapped one would take the process with it when somebody cuts it short."""
    if isinstance(source, bytes):
        return source
    if source.exists() and not source.is_file():
        raise _Unexpected("is not a file")  # a pipe would be waited for
    if source.stat().st_size > limit:
        raise _Unexpected(f"is larger than {limit / 2**20:,.0f} MiB")
    return source.read_bytes()


def _opened(data: bytes, texts: Sequence[str] = ()) -> pq.ParquetFile:
    # Arrow never has to call Python for data, and starts no thread (pre_buffer would).
    return pq.ParquetFile(pa.BufferReader(data), read_dictionary=list(texts), pre_buffer=False)


def _names(
    file: pq.ParquetFile,
    schema: pa.Schema | None,
    columns: Sequence[str] | None,
    rows: int | None,
    exact: bool,
    limit: int,
) -> list[str]:
    """The columns to read, after everything that the metadata of the file says was checked."""
    there: pa.Schema = file.schema_arrow
    names = list(schema.names if schema is not None else there.names if columns is None else columns)
    _check_columns(there, schema, names, exact)
    count = _row_count(file)
    if rows is not None and count != rows:
        raise _Unexpected(f"has {count:,} rows, not {rows:,}")
    if max(_fixed_bytes(there, names, count), _stored_bytes(file)) > limit:
        raise _Unexpected(f"has {count:,} rows, more than fit into {limit / 2**20:,.0f} MiB")
    return names


def _read(file: pq.ParquetFile, names: list[str], texts: Sequence[str], limit: int) -> pa.Table:
    table = file.read(columns=names, use_threads=False).select(names)
    if len(table) != _row_count(file):
        raise _Unexpected("contradicts itself about the number of its rows")
    if sum(_text_bytes(table.column(name)) for name in texts) > limit:
        raise _Unexpected(f"has texts that do not fit into {limit / 2**20:,.0f} MiB")
    for name in texts:
        table = table.set_column(names.index(name), name, table.column(name).cast(pa.string()))
    table.validate(full=True)
    return table


def _without_empty_fields(table: pa.Table, schema: pa.Schema) -> pa.Table:
    if any(column.null_count for column in table.columns):
        raise _Unexpected("has empty fields")
    return table.cast(schema)


def _check_columns(there: pa.Schema, schema: pa.Schema | None, names: Sequence[str], exact: bool) -> None:
    if len(set(there.names)) != len(there.names):
        raise _Unexpected("has two columns of one name")
    if exact and schema is not None and list(there.names) != list(schema.names):
        raise _Unexpected("does not have the columns of this version of chestgan")
    if missing := [name for name in names if name not in there.names]:
        raise _Unexpected(f"has no column {missing[0]}")
    for name in names:
        kind = there.field(name).type
        kind = kind.value_type if pa.types.is_list(kind) else kind
        # A column in which every value is missing has the type null.
        plain = pa.types.is_primitive(kind) or pa.types.is_string(kind) or pa.types.is_null(kind)
        if schema is None and not plain:
            raise _Unexpected(f"has {kind} in the column {name}, neither numbers nor texts nor lists of them")
    if schema is not None:
        for field in schema:
            if there.field(field.name).type != field.type:
                raise _Unexpected(
                    f"has {there.field(field.name).type} in the column {field.name}, not {field.type}"
                )


def _row_count(file: pq.ParquetFile) -> int:
    metadata = file.metadata
    count = sum(metadata.row_group(at).num_rows for at in range(metadata.num_row_groups))
    if metadata.num_rows != count or count < 0:
        raise _Unexpected("contradicts itself about the number of its rows")
    return count


def _fixed_bytes(there: pa.Schema, names: Sequence[str], count: int) -> int:
    """Of the numbers, and of the offsets of texts."""
    return sum(count * max(_width(there.field(name).type), 1) for name in names)


def _width(kind: pa.DataType) -> int:
    try:
        return (kind.bit_width + 7) // 8
    except ValueError:
        return 8


def _stored_bytes(file: pq.ParquetFile) -> int:
    metadata = file.metadata
    return sum(max(metadata.row_group(at).total_byte_size, 0) for at in range(metadata.num_row_groups))


def _text_bytes(column: "pa.ChunkedArray[Any]") -> int:
    total = 0
    for chunk in column.chunks:
        if not isinstance(chunk, pa.DictionaryArray):
            total += chunk.nbytes
            continue
        chunk.validate(full=True)
        lengths = pc.binary_length(chunk.dictionary)  # type: ignore[call-overload]  # the stubs lack texts
        total += pc.sum(lengths.cast(pa.int64()).take(chunk.indices)).as_py() or 0
    return total
