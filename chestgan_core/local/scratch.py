"""Folders for files that live no longer than a step: DICOM files on their way, slices to train on.

In: the local folder. Out: a folder that is removed afterwards; what a killed process leaves is removed when the next
one opens its own. Images and headers of people must not stay in a machine's /tmp.
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
    parent = home / "scratch"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        parent.chmod(0o700)
        _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(dir=parent))
    except OSError as error:
        raise file_error(parent, error, "set CHESTGAN_HOME to a folder of yours") from error
    with file_lock(folder / LOCK):
        inner = folder / "files"
        inner.mkdir()
        try:
            yield inner
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        if not (folder / LOCK).exists():
            continue  # another process is about to lock it
        with suppress(OSError), file_lock(folder / LOCK, wait=False):
            shutil.rmtree(folder, ignore_errors=True)
