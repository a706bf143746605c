"""The spool: where the files of a series lie while they are downloaded, so that an interrupted download resumes.

In: the local folder, a dataset, a series and its revision. Out: a folder for this revision alone, held by one process
at a time. It is removed when the series is in the store; folders of other revisions are removed when it is opened.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chestgan_core.errors import BadInput
from chestgan_core.local.files import file_lock


def spool_folder(home: Path) -> Path:
    """The folder of all spools."""
    return home / "spool"


@contextmanager
def opened_spool(home: Path, dataset: str, series: str, delivery: str) -> Iterator[Path]:
    """The folder of one delivery, with whatever an earlier download left in it. Other processes wait for it.

    delivery: `delivery_name` of the row. Raises BadInput: the local folder cannot be written.
    """
    shelf = spool_folder(home) / dataset
    folder = shelf / delivery
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        with file_lock(shelf / f".{delivery}.lock", remove=True):
            for other in shelf.glob(f"{series}-*"):
                if other != folder:
                    shutil.rmtree(other, ignore_errors=True)
            folder.mkdir(exist_ok=True)
            yield folder
    except PermissionError as error:
        raise BadInput(shelf, "cannot be written", "set CHESTGAN_HOME to a folder of yours") from error


def clear_spool(folder: Path) -> None:
    """Remove a folder of `opened_spool`, once its series is in the store."""
    shutil.rmtree(folder, ignore_errors=True)
