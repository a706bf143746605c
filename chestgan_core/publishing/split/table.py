"""split.csv: written so that equal rows give equal bytes, and read as what a stranger may have written.

In: rows, or a file. Out: bytes, or rows in which every value has its form and its bounds.
"""

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from chestgan_core.errors import DamagedObject
from chestgan_core.escaping import csv_cell, escaped
from chestgan_core.local.files import is_regular, open_regular
from chestgan_core.publishing.split.row import SplitRow, patients_on_both_sides
from chestgan_core.slices.splits import SIDES

SPLIT = "split.csv"
REMEDY = "fetch the set again; if that does not help, ask whoever published it"
MAX_BYTES = 256 * 2**20
MAX_ROWS = 1_000_000
MAX_NUMBERS = 100_000
"""More slices than any series has: bounds what `numbers` unfolds to."""
_NAMES = {"class_name": "class"}  # a word of Python
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TEXT = re.compile(r"(?s).{0,4000}")
_COUNT = re.compile(r"[0-9]{1,13}")
_FORMS: dict[str, re.Pattern[str]] = {
    "side": re.compile("|".join(SIDES)),
    "patient": _NAME,
    "series": _NAME,
    "stack": re.compile(r"[A-Za-z0-9._-]{0,128}"),
    "thickness_mm": re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?"),
    "slices": _COUNT,
    "numbers": re.compile(r"[0-9]{1,7}(-[0-9]{1,7})?( [0-9]{1,7}(-[0-9]{1,7})?)*"),
    "uids_sha256": re.compile(r"[0-9a-f]{64}"),
    "looks_sha256": re.compile(r"([0-9a-f]{64})?"),
    "files": _COUNT,
    "bytes": _COUNT,
    "source": re.compile(r"[a-z0-9_-]{1,32}"),
}
_TYPES = {field.name: field.type for field in fields(SplitRow)}
COLUMNS = tuple(_NAMES.get(name, name) for name in _TYPES)


def split_csv(rows: Sequence[SplitRow]) -> bytes:
    """The rows as CSV with a header, in the order given. UTF-8, one line per row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(getattr(row, name)) for name in _TYPES] for row in rows)
    return out.getvalue().encode()


def read_split(path: Path) -> list[SplitRow]:
    """The rows of a split.csv. Columns that a later version adds are passed over.

    Raises DamagedObject: not such a file, a column missing, a value that is not of its column (names the line), a
    number of slices that is not that of the numbers, a series twice, a patient on both sides.
    """
    if not is_regular(path):
        raise DamagedObject(path, "is missing, or not a file", REMEDY)
    try:
        with open_regular(path) as file:
            # `read` sets aside as much as it is asked for, whatever the file has.
            data = file.read(min(os.fstat(file.fileno()).st_size, MAX_BYTES) + 1)
    except OSError as error:
        raise DamagedObject(path, f"cannot be read ({error.strerror})", REMEDY) from error
    if len(data) > MAX_BYTES:
        raise DamagedObject(path, "is too large for a split", REMEDY)
    try:
        lines = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
        header = next(lines, [])
        if missing := [name for name in COLUMNS if header.count(name) != 1]:
            raise DamagedObject(path, f"has no column {missing[0]}, or has it twice", REMEDY)
        places = {name: header.index(_NAMES.get(name, name)) for name in _TYPES}
        rows = []
        for number, cells in enumerate(lines, 2):
            if number > MAX_ROWS + 1:
                raise DamagedObject(path, f"has more than {MAX_ROWS:,} rows", REMEDY)
            if len(cells) != len(header):
                cause = f"has {len(cells)} values in line {number}, the header {len(header)}"
                raise DamagedObject(path, cause, REMEDY)
            rows.append(_row(path, number, {name: cells[place] for name, place in places.items()}))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DamagedObject(path, f"is not CSV ({error})", REMEDY) from error
    _check(path, rows)
    return rows


def unfolded(numbers: str) -> list[int]:
    """`0-2 5` -> [0, 1, 2, 5]. Raises ValueError: not ascending, or more than MAX_NUMBERS."""
    found: list[int] = []
    for part in numbers.split(" "):
        low, _, high = part.partition("-")
        first, last = int(low), int(high or low)
        if last < first or (found and first <= found[-1]) or len(found) + last - first >= MAX_NUMBERS:
            raise ValueError("the numbers do not ascend, or are too many")
        found += range(first, last + 1)
    return found


def _cell(value: str | int | float) -> object:
    if isinstance(value, str):
        return csv_cell(escaped(value))
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def _row(path: Path, line: int, cells: dict[str, str]) -> SplitRow:
    values: dict[str, str | int | float] = {}
    for name, cell in cells.items():
        # The apostrophe that keeps a spreadsheet from running a text is none of it.
        text = cell[1:] if cell[:1] == "'" and csv_cell(cell[1:]) == cell else cell
        # A text with characters that act on a terminal is none that `split_csv` writes.
        if not _FORMS.get(name, _TEXT).fullmatch(text) or escaped(text) != text:
            column = _NAMES.get(name, name)
            raise DamagedObject(path, f"has no valid value for {column} in line {line}", REMEDY)
        values[name] = int(text) if _TYPES[name] is int else float(text) if _TYPES[name] is float else text
    row = SplitRow(**values)  # type: ignore[arg-type]  # each has the type of its field, by the line above
    try:
        whole = len(unfolded(row.numbers)) == row.slices
    except ValueError:
        whole = False
    if not whole:
        raise DamagedObject(path, f"has other numbers of slices than their count in line {line}", REMEDY)
    return row


def _check(path: Path, rows: Sequence[SplitRow]) -> None:
    if len({(row.patient, row.series, row.stack, row.side, row.class_name) for row in rows}) != len(rows):
        raise DamagedObject(path, "lists a series twice", REMEDY)
    if {row.side for row in rows} != set(SIDES):
        raise DamagedObject(path, "does not have both sides", REMEDY)
    if both := patients_on_both_sides(rows):
        raise DamagedObject(
            path, f"has {both} patient(s) on both sides", "do not use the numbers of this set"
        )
