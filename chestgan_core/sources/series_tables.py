"""Tables of series that a person supplies: an index as CSV or Parquet, a metadata.csv.

In: a file in an encoding and with line ends that spreadsheets write. Out: rows with lines, each series once; or an
error that names the line.
"""

import codecs
import csv
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from chestgan_core.errors import BadInput
from chestgan_core.sources.series_rows import SeriesRow

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024**2  # a row has some 500 bytes
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DELIMITERS = ",;\t"
_HEADER_BYTES, _HEADER_LINES = 64 * 1024, 20


def delimiter_of(path: Path, columns: Sequence[str]) -> str | None:
    """The character between the columns in the header of a CSV; None: it does not have all of them."""
    with path.open("rb") as stream:
        start = stream.read(_HEADER_BYTES)
    # Cut in the middle of a character, or not text at all.
    lines = _one_kind_of_line_end(
        start.decode("utf-16" if start.startswith(_UTF_16) else "utf-8-sig", "replace")
    )
    return _delimiter(lines.split("\n"), columns)


def csv_rows(path: Path, columns: Sequence[str], remedy: str) -> Iterator[tuple[int, list[str]]]:
    """The header of a CSV that has `columns`, then every row that is not empty; each with the line where it ends.

    UTF-8 or UTF-16, with line ends of any system, separated by commas, semicolons or tabs. Raises BadInput: not such a
    file (with the line), or larger than any list of series.
    """
    lines = _text(path, remedy).split("\n")
    delimiter = _delimiter(lines, columns) or ","
    if lines[0].lower().startswith("sep="):  # for Excel alone
        lines[0] = ""
    reader = csv.reader(
        (f"{line}\n" for line in lines), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    has_header = False
    try:
        for row in reader:
            if not row:
                continue
            fields = row if has_header else [name.strip() for name in row]
            if not has_header and (missing := [name for name in columns if name not in fields]):
                raise BadInput(path, f"line {reader.line_num} has no column {missing[0]}", remedy)
            has_header = True
            yield reader.line_num, fields
    except csv.Error as error:
        raise BadInput(path, f"line {reader.line_num} is not CSV in UTF-8 ({error})", remedy) from error
    if not has_header:
        raise BadInput(path, f"line 1 has no column {columns[0]}", remedy)


def each_once(path: Path, rows: Iterable[tuple[str, SeriesRow]], remedy: str) -> list[SeriesRow]:
    """Rows in their order, a series that is listed again with the same content once, with a warning.

    rows: where each stands (`line 3`), and the row. Raises BadInput: a series is listed again with other content.
    """
    first: dict[str, tuple[str, SeriesRow]] = {}
    repeated = 0
    for where, row in rows:
        before, same = first.setdefault(row.key, (where, row))
        if same is row:
            continue
        if same != row:
            raise BadInput(path, f"{where} lists the series of {before} again, with other content", remedy)
        repeated += 1
    if repeated:
        log.warning(f"{path}: {repeated} rows repeat a series, which counts once")
    return [row for _, row in first.values()]


def _text(path: Path, remedy: str) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise BadInput(path, "there is no such file", "check the path") from error
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", "name a file that can be read") from error
    if len(raw) > MAX_BYTES:
        raise BadInput(path, f"is larger than {MAX_BYTES >> 20} MiB, which no list of series is", remedy)
    try:
        text = _one_kind_of_line_end(raw.decode("utf-16" if raw.startswith(_UTF_16) else "utf-8-sig"))
    except UnicodeDecodeError as error:
        line = _one_kind_of_line_end(raw[: error.start].decode("latin-1")).count("\n") + 1
        raise BadInput(path, f"line {line} is not CSV in UTF-8", "save it as UTF-8") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise BadInput(path, f"line {line} is not text: it has a NUL character", remedy)
    return text


def _one_kind_of_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _delimiter(lines: Sequence[str], columns: Sequence[str]) -> str | None:
    for line in [line for line in lines[:_HEADER_LINES] if line.strip()]:
        for delimiter in _DELIMITERS:
            try:
                header = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
            except csv.Error:
                continue
            if set(columns) <= {name.strip() for name in header}:
                return delimiter
    return None
