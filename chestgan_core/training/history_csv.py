"""The history of a training as CSV: history.parquet and validation.parquet for a spreadsheet.

In: the folder of a training, or the files that a run has in the store. Out: CSV files with the same columns and rows.
"""

from pathlib import Path

from chestgan_core.errors import BadInput
from chestgan_core.local.csv_text import csv_text
from chestgan_core.local.files import replacing
from chestgan_core.local.parquet import read_parquet
from chestgan_core.training.records import HISTORY_FILE, VALIDATION_FILE

REMEDY = "give the folder of a training, or the s3:// address of a run"
FILES = (HISTORY_FILE, VALIDATION_FILE)
MAX_BYTES = 2**28  # in memory, of either file


def write_history(folder: Path, out: Path) -> list[Path]:
    """Write the losses as FILE.csv, and the validations, where there are any, as FILE-validation.csv.

    Args:
        folder: With history.parquet and, of most trainings, validation.parquet.
        out: FILE.csv. Files that this function wrote are replaced.

    Returns:
        The files.

    Raises:
        BadInput: The folder has no history, a file is damaged or holds more than numbers and short texts, the name has
            another ending, or a file of somebody else is there.
    """
    if out.suffix.lower() != ".csv":
        raise BadInput(out, "does not end in .csv", "give it that ending")
    if not (folder / HISTORY_FILE).is_file():
        raise BadInput(folder, f"has no {HISTORY_FILE}", REMEDY)
    texts = {out: _csv_of(folder / HISTORY_FILE)}
    if (folder / VALIDATION_FILE).is_file():
        of_validation = _csv_of(folder / VALIDATION_FILE)
        if of_validation.count("\n") > 1:
            texts[out.with_name(f"{out.stem}-validation{out.suffix}")] = of_validation
    for path, text in texts.items():
        _require_replaceable(path, text)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(texts)


def _csv_of(path: Path) -> str:
    table = read_parquet(path, path, REMEDY, max_bytes=MAX_BYTES, error=BadInput)
    rows = [tuple(row.values()) for row in table.to_pylist()]
    if any(not isinstance(cell, str | int | float | bool | None) for row in rows for cell in row):
        raise BadInput(path, "holds lists or bytes, not numbers and texts", REMEDY)
    return csv_text(table.column_names, rows)


def _require_replaceable(path: Path, text: str) -> None:
    """Refuse to replace what does not begin as the file that is written."""
    if not path.exists():
        return
    head = text.partition("\n")[0]
    with path.open("rb") as file:
        if file.read(len(head.encode()) + 1).strip() == head.encode():
            return
    raise BadInput(path, "is there, and is another file", "give --out with another name")
