"""Folders for files that live no longer than a step: DICOM on its way, slices that are trained on.

In: the local folder. Out: a folder that is gone afterwards, also when the process was killed: what a killed one left is
removed when the next one opens its own. Pictures and headers of people must not stay in a machine's /tmp.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chestgan_core.errors import BadInput

LOCK = ".lock"


@contextmanager
def scratch_folder(home: Path) -> Iterator[Path]:
    """A fresh folder below home/scratch, which only its owner can open. Raises BadInput: home cannot be written."""
    shelf = home / "scratch"
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        shelf.chmod(0o700)
        _sweep(shelf)
        folder = Path(tempfile.mkdtemp(dir=shelf))
    except OSError as error:
        cause = f"cannot be written ({error.strerror})"
        raise BadInput(shelf, cause, "set CHESTGAN_HOME to a folder of yours") from error
    with (folder / LOCK).open("w") as lock:
        # The system lets go of it when this process ends, however it ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        inner = folder / "files"
        inner.mkdir()
        try:
            yield inner
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(shelf: Path) -> None:
    for folder in shelf.iterdir():
        with suppress(OSError), (folder / LOCK).open("r") as lock:
            # Held: somebody works there. Not there yet: somebody is about to.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
