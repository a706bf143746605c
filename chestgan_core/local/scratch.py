"""Folders for files that live no longer than a step: DICOM on its way, slices that are trained on.

In: the local folder. Out: a folder that is gone afterwards, also when the process was killed: what a killed one left is
removed when the next one opens its own. Pictures and headers of people must not stay in a machine's /tmp.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chestgan_core.local.files import file_error, file_lock

LOCK = ".lock"


@contextmanager
def scratch_folder(home: Path) -> Iterator[Path]:
    """A fresh folder below home/scratch, which only its owner can open.

    Raises BadInput (home cannot be written), DiskFull.
    """
    shelf = home / "scratch"
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        shelf.chmod(0o700)
        _sweep(shelf)
        folder = Path(tempfile.mkdtemp(dir=shelf))
    except OSError as error:
        raise file_error(shelf, error, "set CHESTGAN_HOME to a folder of yours") from error
    with file_lock(folder / LOCK):
        inner = folder / "files"
        inner.mkdir()
        try:
            yield inner
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(shelf: Path) -> None:
    for folder in shelf.iterdir():
        if not (folder / LOCK).exists():
            continue  # another process is about to lock it
        with suppress(OSError), file_lock(folder / LOCK, wait=False):
            shutil.rmtree(folder, ignore_errors=True)
