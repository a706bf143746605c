"""Folders that commands write into: empty at first, ours afterwards, and of one writer at a time.

In: the folder that a person named, what is written into it, and of what. Out: the folder, claimed and locked. A marker
(`.chestgan`) says what it holds, so a folder of somebody's own files (README.md, config.json) is never written into,
nor a report into the folder of a training. Hidden files do not count as content.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from chestgan_core.errors import BadInput
from chestgan_core.local.files import file_error, file_lock, no_space, sweep

MARKER = ".chestgan"
_MAX_MARKER_BYTES = 10_000


def require_output_folder(folder: Path, kind: str, of: str = "") -> None:
    """Refuse a folder that output_folder would refuse, before work starts; changes nothing.

    Args:
        folder: Need not exist.
        kind: What is written, with its article: "a training", "a report".
        of: What it is of, where a second one must not be mixed into the same folder: the version of a set.

    Raises:
        BadInput: Not a folder, other files are in it, or it holds something else of ours.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise BadInput(folder, "is not a folder", "give another folder")
        found = _marker(folder)
        if found is None:
            _require_empty(folder, kind)
        elif found != (kind, of):
            there = " ".join(part for part in found if part)
            wanted = " ".join(part for part in (kind, of) if part)
            raise BadInput(folder, f"holds {there}, not {wanted}", "give another folder")
    except OSError as error:
        raise file_error(folder, error) from error


@contextmanager
def output_folder(folder: Path, kind: str, of: str = "", *, wait: bool = False) -> Iterator[Path]:
    """A folder for one writer, while the block runs: made where it is missing, marked as ours, locked.

    Args:
        folder: Where to write.
        kind: As for require_output_folder.
        of: As for require_output_folder.
        wait: For another process that writes into it, instead of refusing. For what both write alike.

    Yields:
        The folder.

    Raises:
        BadInput: As require_output_folder; another process is writing into it; it cannot be made.
        DiskFull: No space is left on its disk.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     with output_folder(Path(parent) / "report", "a report") as folder:
        ...         (folder / "report.json").write_text("{}")
        ...     (Path(parent) / "notes.txt").write_text("mine")
        ...     require_output_folder(Path(parent), "a report")
        Traceback (most recent call last):
        chestgan_core.errors.BadInput: ...: holds files that are not of a report; give an empty folder
    """
    require_output_folder(folder, kind, of)
    with ExitStack() as stack:
        made = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(file_lock(folder / MARKER, wait=wait))
            require_output_folder(folder, kind, of)  # another process may have been quicker
            if fresh := _marker(folder) is None:
                (folder / MARKER).write_text(json.dumps({"kind": kind, "of": of}) + "\n", encoding="utf-8")
            sweep(folder)
        except BlockingIOError as error:
            remedy = "wait until it has ended, or give another folder"
            raise BadInput(folder, "another process is writing into it", remedy) from error
        except OSError as error:
            raise file_error(folder, error, "check its permissions, or give another folder") from error
        try:
            yield folder
        except BaseException as error:
            if fresh:
                _leave(folder, made)
            if isinstance(error, OSError) and no_space(error):
                raise file_error(folder, error) from error
            raise


def _leave(folder: Path, made: bool) -> None:
    """Remove our marker, and a folder that was made for it, where nothing came into being."""
    with suppress(OSError):
        if [entry.name for entry in os.scandir(folder)] == [MARKER]:
            (folder / MARKER).unlink()
            if made:
                folder.rmdir()


def _marker(folder: Path) -> tuple[str, str] | None:
    """What is in the folder, and of what; None without a marker, or with one that was never finished."""
    try:
        with (folder / MARKER).open("rb") as file:
            fields = json.loads(file.read(_MAX_MARKER_BYTES))
        return str(fields["kind"]), str(fields["of"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _require_empty(folder: Path, kind: str) -> None:
    if folder.is_dir() and any(not entry.name.startswith(".") for entry in os.scandir(folder)):
        raise BadInput(folder, f"holds files that are not of {kind}", "give an empty folder")
