"""Download the files of an artefact in parts, several at a time; a download that was killed goes on where it was.

In: what a manifest lists, and a folder that has one writer. Out: files, each with the sha256 of the manifest. Until it
is complete a file has a hidden name (`.NAME.fetching`), and beside it (`.NAME.parts`) the numbers of the parts that it
has. These two are trusted for nothing: what decides is the sha256 of all.
"""

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.local.files import is_regular
from chestgan_core.local.progress import ByteProgress
from chestgan_core.store.artefacts import sha256_of
from chestgan_core.store.client import PARALLEL
from chestgan_core.store.errors import file_errors
from chestgan_core.store.objects import PART_BYTES, ObjectStore

_HASHED_AT_ONCE = 2**20  # bytes
_MISSING = "is listed in a manifest but not in the store"
_REMEDY = "ask whoever published it, or materialize it again"


class Listed(Protocol):
    """What a manifest says of an object: reader.manifest.SetFile, store.artefacts.StoredObject."""

    @property
    def key(self) -> str:
        """In the store."""

    @property
    def bytes(self) -> int:
        """Size."""

    @property
    def sha256(self) -> str:
        """Of all its bytes."""


@dataclass(frozen=True)
class Wanted:
    """One object and the file that it becomes."""

    item: Listed
    path: Path

    @property
    def part_file(self) -> Path:
        """Where it is until it is complete."""
        return self.path.with_name(f".{self.path.name}.fetching")

    @property
    def journal(self) -> Path:
        """The numbers of the parts that are in it."""
        return self.path.with_name(f".{self.path.name}.parts")


def fetch_in_parts(store: ObjectStore, wanted: Sequence[Wanted], progress: ByteProgress) -> None:
    """Download what is missing or not as listed; files that are right are kept.

    progress: gets the bytes of each part, and those that were there already as present. Raises NotInStore,
    DamagedObject, StoreError, DiskFull, BadInput (a file cannot be written). What has arrived by then stays.
    """
    downloads: list[_Download] = []
    pool = ThreadPoolExecutor(PARALLEL)
    try:
        for one, complete in zip(wanted, pool.map(_is_complete, wanted), strict=True):
            if complete:
                progress.present(one.item.bytes)
            else:
                downloads.append(_Download(store, one, progress))
        jobs = [pool.submit(one.fetch, part) for one, part in _in_turn(downloads)]
        for job in wait(jobs, return_when=FIRST_EXCEPTION).done:
            job.result()
    finally:
        pool.shutdown(cancel_futures=True)
        for download in downloads:
            download.close()


def _in_turn(downloads: "Sequence[_Download]") -> "Iterator[tuple[_Download, int]]":
    """The parts of some files in turn, then those of the next ones: each file is hashed while it arrives, in order, and
    few are open at a time."""
    for at in range(0, len(downloads), PARALLEL):
        group = downloads[at : at + PARALLEL]
        for part in range(max(one.parts for one in group)):
            yield from ((one, part) for one in group if part < one.parts)


def _is_complete(one: Wanted) -> bool:
    with file_errors(one.path):
        return (
            is_regular(one.path)
            and one.path.stat().st_size == one.item.bytes
            and sha256_of(one.path) == one.item.sha256
        )


class _Download:
    """One file on its way. `fetch` is called from several threads, once for each part."""

    def __init__(self, store: ObjectStore, wanted: Wanted, progress: ByteProgress) -> None:
        self._store, self._item, self._wanted, self._progress = store, wanted.item, wanted, progress
        self.parts = max(1, -(-wanted.item.bytes // PART_BYTES))
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._begun = False
        self._resumed = False
        self._there: set[int] = set()
        # Parts are hashed in order, as soon as all before them are there: hardly anything is read again at the end.
        self._hashing, self._hashed, self._hash = False, 0, hashlib.sha256()

    def fetch(self, part: int) -> None:
        """Bring one part, unless a download before had it; the last one completes the file."""
        with file_errors(self._wanted.path):
            with self._lock:
                file = self._opened()
                if file is None:  # completed meanwhile: an earlier download had all of it
                    return
                present = part in self._there
                # All before it is hashed: it is hashed while it arrives.
                hashing = not self._hashing and self._hashed == part
                self._hashing = self._hashing or hashing
            if not present:
                self._bring(part, file, hashing)
            if self._arrived(part, present, hashing):
                self._finish()

    def _bring(self, part: int, file: BinaryIO, hashing: bool) -> None:
        start, size = self._place(part)
        if not size:
            return
        try:
            for data in self._store.range_in_chunks(self._item.key, start, size):
                written = 0
                while written < len(data):
                    written += os.pwrite(file.fileno(), data[written:], start + written)
                start += len(data)
                if hashing:
                    self._hash.update(data)
                self._progress.step(len(data))
        except NotInStore as error:
            raise DamagedObject(self._store.uri(self._item.key), _MISSING, _REMEDY) from error

    def close(self) -> None:
        """Close the file, complete or not."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO | None:
        if self._begun:
            return self._file
        self._begun = True
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._wanted.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(self._wanted.part_file, flags, 0o666), "r+b", buffering=0)
        size = os.fstat(self._file.fileno()).st_size
        if self.parts > 1 and size <= self._item.bytes:
            named = _numbers(self._wanted.journal, self.parts)
            self._there = {part for part in named if sum(self._place(part)) <= size}
        else:
            self._wanted.journal.unlink(missing_ok=True)
            self._file.truncate(0)
        self._resumed = bool(self._there)
        self._progress.present(sum(self._place(part)[1] for part in self._there))
        return self._file

    def _place(self, part: int) -> tuple[int, int]:
        start = part * PART_BYTES
        return start, min(PART_BYTES, self._item.bytes - start)

    def _arrived(self, part: int, present: bool, hashing: bool) -> bool:
        """Whether the file is complete now: one caller is told so.

        present: it was there already. hashing: this thread hashes, if the part was not there has hashed it, and goes on
        with those behind it; the others go on with downloading.
        """
        with self._lock:
            if not present:
                self._there.add(part)
                if self.parts > 1:
                    with self._wanted.journal.open("a") as journal:
                        journal.write(f"{part}\n")
                if hashing:
                    self._hashed += 1
            if not hashing:
                if self._hashing or self._file is None:
                    return False
                self._hashing = True
        while True:
            with self._lock:
                if self._hashed not in self._there or self._file is None:
                    self._hashing = False
                    complete = self._hashed == self.parts and self._file is not None
                    if complete:
                        self.close()
                    return complete
                file = self._file
            # Of this file alone one thread is here at a time.
            start, size = self._place(self._hashed)
            for place in range(start, start + size, _HASHED_AT_ONCE):
                self._hash.update(os.pread(file.fileno(), min(_HASHED_AT_ONCE, start + size - place), place))
            self._hashed += 1

    def _finish(self) -> None:
        self._wanted.journal.unlink(missing_ok=True)
        found = self._hash.hexdigest()
        if found == self._item.sha256:
            # Not forced to the disk: what lies there is verified before it is used again.
            self._wanted.part_file.replace(self._wanted.path)
            return
        self._wanted.part_file.unlink(missing_ok=True)
        if not self._resumed:
            cause = f"sha256 is {found[:12]}..., should be {self._item.sha256[:12]}...: the object is damaged"
            raise DamagedObject(self._store.uri(self._item.key), cause, _REMEDY)
        # What an earlier download left was damaged on this disk: all of it anew.
        self._progress.present(-self._item.bytes)
        again = _Download(self._store, self._wanted, self._progress)
        try:
            for part in range(again.parts):
                again.fetch(part)
        finally:
            again.close()


def _numbers(journal: Path, parts: int) -> set[int]:
    """The parts that a journal names; its last line may be half."""
    try:
        lines = journal.read_text(errors="replace").split("\n")[:-1]
    except FileNotFoundError:
        return set()
    return {int(line) for line in lines if line.isdecimal() and int(line) < parts}
