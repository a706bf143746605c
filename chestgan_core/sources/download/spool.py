"""Where the files of a series lie while they come: so that a download that was killed goes on.

In: the local folder, a dataset, a series and its revision. Out: a folder for this revision alone, held by one process
at a time. It is removed when the series is in the store; folders of other revisions are removed when it is opened.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chestgan_core.errors import BadInput


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
        with _locked(shelf / f".{delivery}.lock"):
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


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """An exclusive lock, which ends with the process at the latest. The lock file does not stay behind."""
    while True:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever had it before may have removed it: then it locks nothing any more.
            if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
