"""Every file below some paths: in folders, in zips, in zips in folders and in zips in zips.

In: paths. Out: one `Found` or `Refused` for every file, with the first bytes of each, in an order that depends on names
only. Nothing is ever extracted under its own name: entries are read from the archive in memory, and an inner zip is
copied to an anonymous temporary file. Memory: the first bytes of one file, and the tables of contents of open archives.
"""

import lzma
import os
import re
import struct
import tempfile
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.errors import BadInput

# The header of a CT slice has about 3 KB; of a file with a longer header more is read.
HEAD_BYTES = 8192
# Of an inflated zip entry. The largest slice that a scanner makes has 4096 x 4096 x 2 bytes.
MAX_SLICE_BYTES = 256 * 1024**2
# Deflate expands at most 1032 times (zlib's manual), so an entry of this size whose stated size is false costs half a
# gigabyte at worst. Larger entries are inflated step by step.
ONE_SHOT_BYTES = 512 * 1024
MAX_INNER_ZIP_BYTES = 64 * 1024**3
MAX_ZIP_DEPTH = 3
OPEN_ARCHIVES = 4

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
# What zipfile and zlib raise on damaged, encrypted or unusual archives (RuntimeError: password needed).
READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    IndexError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class FileLocation:
    """The location of one file: a path, and inside archives the index of the entry at each level.

    It is an index and not a name because two entries of one zip may have the same name.
    """

    path: str
    entries: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A file that can be opened. name: for people. size: bytes. head: its first HEAD_BYTES bytes."""

    location: FileLocation
    name: str
    size: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """A file or a whole archive that cannot or must not be opened."""

    name: str
    reason: LeftOut
    cause: str


@dataclass(frozen=True)
class _Archive:
    """An open zip and its table of contents."""

    file: IO[bytes]
    zip: zipfile.ZipFile
    entries: list[zipfile.ZipInfo]

    def close(self) -> None:
        self.zip.close()
        self.file.close()


class Archives:
    """Opens sources, and keeps the last few archives open for the next files. Not thread-safe: one per thread."""

    def __init__(self) -> None:
        self._open: OrderedDict[FileLocation, _Archive] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def entries(self, archive: FileLocation) -> list[zipfile.ZipInfo]:
        """The table of contents of the zip at `archive`."""
        return self._archive(archive).entries

    def open(self, location: FileLocation) -> IO[bytes]:
        """The bytes of one file, uncompressed, from the start."""
        if not location.entries:
            return Path(location.path).open("rb")
        archive = self._archive(FileLocation(location.path, location.entries[:-1]))
        return archive.zip.open(archive.entries[location.entries[-1]])

    def read(self, location: FileLocation, limit: int) -> bytes:
        """At most `limit` bytes; a whole zip entry is checked against its CRC."""
        if location.entries:
            archive = self._archive(FileLocation(location.path, location.entries[:-1]))
            entry = archive.entries[location.entries[-1]]
            if entry.file_size <= limit and _fits_one_shot(entry):
                return _inflate(archive.file, entry)
        else:  # reading allocates `limit` bytes, whatever the size of the file is
            limit = min(limit, Path(location.path).stat().st_size)
        with self.open(location) as stream:
            return stream.read(limit)

    def name(self, location: FileLocation) -> str:
        """`folder/delivery.zip:entry.dcm`, for warnings; entry numbers where the archive can no longer be read."""
        parts = [location.path]
        for depth, index in enumerate(location.entries):
            try:
                parts.append(
                    self.entries(FileLocation(location.path, location.entries[:depth]))[index].filename
                )
            except READ_ERRORS:
                parts.append(f"entry {index + 1}")
        return ":".join(parts)

    def _archive(self, location: FileLocation) -> "_Archive":
        if location in self._open:
            self._open.move_to_end(location)
            return self._open[location]
        file = self._seekable(location)
        try:
            archive = zipfile.ZipFile(file)
        except BaseException:
            file.close()
            raise
        opened = self._open[location] = _Archive(file, archive, archive.infolist())
        while len(self._open) > OPEN_ARCHIVES:
            self._open.popitem(last=False)[1].close()
        return opened

    def _seekable(self, location: FileLocation) -> IO[bytes]:
        """A compressed zip inside a zip is not seekable: it is copied to an anonymous file."""
        if not location.entries:
            return Path(location.path).open("rb")
        copy = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the archive that reads it)
        with self.open(location) as stream:
            while block := stream.read(1024**2):
                copy.write(block)
        return copy


def _fits_one_shot(entry: zipfile.ZipInfo) -> bool:
    encrypted = entry.flag_bits & 1
    return (
        entry.compress_type == zipfile.ZIP_DEFLATED
        and not encrypted
        and entry.compress_size <= ONE_SHOT_BYTES
    )


def _inflate(file: IO[bytes], entry: zipfile.ZipInfo) -> bytes:
    """A whole entry in one call, a quarter faster than with zipfile, which inflates into growing pieces.

    Raises BadZipFile or zlib.error where zipfile would refuse, too: another length, another CRC.
    """
    file.seek(entry.header_offset)
    local = file.read(30)  # .ZIP specification 4.3.7: it ends with the lengths of name and extra field
    file.seek(sum(struct.unpack_from("<HH", local, 26)), os.SEEK_CUR)
    data = zlib.decompress(file.read(entry.compress_size), -zlib.MAX_WBITS, entry.file_size)
    if local[:4] != ZIP_MAGIC[0] or len(data) != entry.file_size or zlib.crc32(data) != entry.CRC:
        raise zipfile.BadZipFile("damaged entry")
    return data


def walk(paths: Sequence[Path], archives: Archives) -> Iterator[Found | Refused]:
    """Every file below `paths`, each once, also those inside archives.

    Links to folders are followed; a folder that is reached a second time is refused as a duplicate. A folder that
    cannot be listed is refused as unreadable, and counts as one file.

    Raises BadInput: a path does not exist, or a folder has no file.
    """
    for path in paths:
        if not path.exists():
            raise BadInput(path, "there is no such file or folder", "check the path")
        names = _files_of(path)
        first = next(names, None)
        if first is None:
            raise BadInput(path, "the folder is empty", "give a folder, a zip or a file with DICOM images")
        for name in chain((first,), names):
            if isinstance(name, Refused):
                yield name
            else:
                yield from _files_in(FileLocation(name), name, archives)


def files_below(folder: Path) -> Iterator[Path]:
    """The files that `walk` opens, in the same order, without those inside zips."""
    yield from (Path(found) for found in _files_of(folder) if not isinstance(found, Refused))


def _files_of(path: Path) -> Iterator[str | Refused]:
    if not path.is_dir():
        yield str(path)
        return
    failed: list[OSError] = []
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(path, onerror=failed.append, followlinks=True):
        yield from _refused_folders(failed)
        folders.sort()
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            yield Refused(folder, LeftOut.DUPLICATE, "the same folder was read already, under another name")
            continue
        seen.add((status.st_dev, status.st_ino))
        for file in sorted(files):
            yield str(Path(folder, file))
    yield from _refused_folders(failed)


def _refused_folders(failed: list[OSError]) -> Iterator[Refused]:
    while failed:
        error = failed.pop(0)
        yield Refused(str(error.filename), LeftOut.UNREADABLE, _cause(error))


def _files_in(location: FileLocation, name: str, archives: Archives) -> Iterator[Found | Refused]:
    try:
        if not location.entries and not Path(location.path).is_file():
            yield Refused(name, LeftOut.NOT_DICOM, "a pipe, a device or a broken link")
            return
        size = _size(location, archives)
        head = archives.read(location, HEAD_BYTES)
        if not head.startswith(ZIP_MAGIC):
            yield Found(location, name, size, head)
            return
        if len(location.entries) >= MAX_ZIP_DEPTH or (location.entries and size > MAX_INNER_ZIP_BYTES):
            yield Refused(name, LeftOut.UNREADABLE, "zips are nested too deeply or an inner zip is too large")
            return
        entries = archives.entries(location)
    except READ_ERRORS as error:
        yield Refused(name, LeftOut.UNREADABLE, _cause(error))
        return
    for index, entry in enumerate(entries):
        inside = f"{name}:{entry.filename}"
        if is_unsafe(entry.filename):
            yield Refused(inside, LeftOut.UNSAFE_NAME, "the name of the entry leaves the archive")
        elif not entry.is_dir():
            yield from _files_in(FileLocation(location.path, (*location.entries, index)), inside, archives)


def is_unsafe(name: str) -> bool:
    """Whether a zip entry's name is absolute, has a drive letter, or leads out of its folder."""
    return bool(re.match(r"[/\\]|[A-Za-z]:", name)) or ".." in re.split(r"[/\\]", name)


def _size(location: FileLocation, archives: Archives) -> int:
    if not location.entries:
        return Path(location.path).stat().st_size
    return archives.entries(FileLocation(location.path, location.entries[:-1]))[
        location.entries[-1]
    ].file_size


def _cause(error: Exception) -> str:
    # Only the kind of failure: messages of libraries may quote contents.
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, zipfile.BadZipFile | zlib.error | EOFError | struct.error):
        return "the zip is damaged or cut short"
    if isinstance(error, RuntimeError):
        return "the zip is encrypted or uses an unknown compression"
    return "it cannot be read"
