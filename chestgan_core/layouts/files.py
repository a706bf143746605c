"""A file of layouts: CSV (csv_layouts.py) or COCO JSON (coco_layouts.py), by its ending.

In: a path, and what the generator can be asked. Out: named layouts, in the order of the file.
"""

from pathlib import Path

from chestgan_core.errors import BadInput
from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.coco_layouts import parse_coco
from chestgan_core.layouts.csv_layouts import parse_csv
from chestgan_core.layouts.gathering import NamedLayout
from chestgan_core.local.files import file_error

MAX_BYTES = 2**27
_CSV, _JSON = ".csv", ".json"


def read_layouts(path: Path, askable: Askable) -> list[NamedLayout]:
    """The layouts of a file.

    Args:
        path: FILE.csv or FILE.json, at most MAX_BYTES.
        askable: What the generator can be asked.

    Raises:
        BadInput: Another ending, no such file, too large, not text, or what the file's form refuses; with the line.
    """
    if path.suffix.lower() not in (_CSV, _JSON):
        raise BadInput(path, "is neither .csv nor .json", "give CSV, or COCO JSON")
    if not path.is_file():  # a pipe would be waited for
        raise BadInput(path, "is not a file" if path.exists() else "is not there", "check the path")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise file_error(path, error) from error
    if len(data) > MAX_BYTES:
        raise BadInput(path, f"is larger than {MAX_BYTES // 2**20} MiB", "divide it into several files")
    if path.suffix.lower() == _JSON:
        return parse_coco(data, path, askable)
    try:
        return parse_csv(data.decode("utf-8-sig"), path, askable)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}, line {line}", "is not UTF-8 text", "save the file as UTF-8") from error
