"""Where the files of a series lie while they come: so that a download that was killed goes on.

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
    """Below it lie all spools."""
    return home / "spool"


@contextmanager
def opened_spool(home: Path, dataset: str, series: str, delivery: str) -> Iterator[Path]:
    """The folder of one delivery, whatever an earlier download left in it. Another process that wants it waits.

    delivery: `<series>-<revision>`. Raises BadInput: the local folder cannot be written.
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
    """Remove what `opened_spool` gave, when it is in the store."""
    shutil.rmtree(folder, ignore_errors=True)
