"""Which files of a folder an archive has acknowledged, kept in that folder, so that the same command sends the rest.

In: the folder and the address. Out: a hidden file beside the others, one for each address, that grows by a line for
each file and is on the disk before the next request. A line that a kill cut short, or that anybody wrote, counts for
nothing; what is lost with it is sent once more, which changes nothing in the archive.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path

from chestgan_core.errors import BadInput
from chestgan_core.local.files import file_error, file_lock
from chestgan_core.publishing.dicom_export.stow_files import Outgoing

_MAX_LINE = 4096


class SentRecord:
    """The acknowledged files, by UID, size and time of the last change: a file that changed is sent again."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path, self._file = path, file
        self._known = set(_lines(path))

    def has(self, file: Outgoing) -> bool:
        """Whether this file, as it is now, was acknowledged."""
        return (file.uid, file.bytes, file.changed) in self._known

    def add(self, files: Iterable[Outgoing]) -> None:
        """Files that were acknowledged. Raises DiskFull, BadInput."""
        lines = [
            json.dumps({"uid": one.uid, "bytes": one.bytes, "changed": one.changed}) + "\n" for one in files
        ]
        try:
            self._file.write("".join(lines).encode())
            os.fsync(self._file.fileno())
        except OSError as error:
            raise file_error(self.path, error) from error


@contextmanager
def sent_record(folder: Path, address: str, *, anew: bool = False) -> Iterator[SentRecord]:
    """The record of one archive, for one process. anew: forget what it says.

    Raises BadInput: another process is sending the folder there, or it cannot be written into; DiskFull.
    """
    path = folder / f".sent-{hashlib.sha256(address.encode()).hexdigest()[:16]}.jsonl"
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(path, wait=False))
            file = stack.enter_context(path.open("ab", buffering=0))
            if anew:
                file.truncate(0)
            elif file.tell():
                file.write(b"\n")  # behind a line that was cut short; an empty one counts for nothing
            record = SentRecord(path, file)
        except BlockingIOError as error:
            raise BadInput(
                folder, "another process is sending it there", "wait until it has ended"
            ) from error
        except OSError as error:
            raise file_error(path, error, "check its permissions: a later run goes on by it") from error
        yield record


def _lines(path: Path) -> Iterator[tuple[str, int, int]]:
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE):
            try:
                entry = json.loads(line)
                yield str(entry["uid"]), int(entry["bytes"]), int(entry["changed"])
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
