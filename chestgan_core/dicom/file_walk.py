"""Every file below some paths: in folders, and in zips, tars and compressed files, also in one another.

In: paths of folders, files, zips, tars (plain, or compressed by gzip, bzip2 or xz) and single compressed files. Out:
one `Found` or `Refused` for every file, with the first bytes of each, in an order that depends on names only. Nothing
is ever extracted under its own name: members are read from the archive in memory, and an archive that cannot be read
in place is copied to an anonymous temporary file. Memory: the first bytes of one file, and the tables of contents of
open archives. archive_members.py has the limits that a delivery must keep.
"""

import lzma
import os
import re
import struct
import zipfile
import zlib
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePath
from types import TracebackType
from typing import IO, Self

from chestgan_core.dicom.archive_members import (
    BLOCK,
    MAX_MEMBERS,
    MAX_UNPACKED_BYTES,
    BadArchive,
    Member,
    OpenArchive,
    allowance,
    spooled,
)
from chestgan_core.dicom.compressed import SingleFile, is_compressed, unpacked
from chestgan_core.dicom.folder_files import Refused, files_of
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.tar_archive import TarArchive, is_tar
from chestgan_core.dicom.zip_archive import ZIP_MAGIC, ZipArchive
from chestgan_core.errors import BadInput

__all__ = [
    "HEAD_BYTES",
    "MAX_SLICE_BYTES",
    "READ_ERRORS",
    "Archives",
    "FileLocation",
    "Found",
    "Refused",
    "files_below",
    "is_unsafe",
    "walk",
]

# The header of a CT slice has about 3 KB; of a file with a longer header more is read.
HEAD_BYTES = 8192
# Of an inflated zip entry. The largest slice that a scanner makes has 4096 x 4096 x 2 bytes.
MAX_SLICE_BYTES = 256 * 1024**2
MAX_DEPTH = 3
OPEN_ARCHIVES = 4

# How archives begin that are not read: 7-Zip, RAR, Zstandard, LZ4, compress, lzip, cabinet, cpio, ar.
_OTHER_ARCHIVES = (
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
    b"\x1f\x9d",
    b"LZIP",
    b"MSCF",
    b"070701",
    b"070707",
    b"!<arch>\n",
)
_ARCHIVE_NAME = re.compile(
    r"\.(zipx?|z\d\d|7z|rar|tar|t?gz|tbz2?|bz2|t?xz|t?zst|lz4?|lzma|lha|arj|cab|iso|dmg)(\.\d{3})?$",
    re.IGNORECASE,
)
# What zipfile and zlib raise on damaged, encrypted or unusual archives (RuntimeError: password needed). BadArchive is a
# ValueError.
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
    """The location of one file: a path, and inside archives the index of the member at each level.

    It is an index and not a name because two entries of one zip may have the same name.
    """

    path: str
    entries: tuple[int, ...] = ()

    @property
    def archive(self) -> "FileLocation":
        """The archive that it is a member of."""
        return FileLocation(self.path, self.entries[:-1])


@dataclass(frozen=True, slots=True)
class Found:
    """A file that can be opened. name: for people. size: bytes. head: its first HEAD_BYTES bytes."""

    location: FileLocation
    name: str
    size: int
    head: bytes


class Archives:
    """Opens sources, and keeps the last few archives open for the next files. Not thread-safe: one per thread."""

    def __init__(self) -> None:
        self._open: OrderedDict[FileLocation, OpenArchive] = OrderedDict()
        # Of everything inside one delivered file: archives seen, their members, and bytes unpacked for them.
        self._seen: set[FileLocation] = set()
        self._members: Counter[str] = Counter()
        self._unpacked: Counter[str] = Counter()
        self._copies: set[FileLocation] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def members(self, archive: FileLocation) -> tuple[Member, ...]:
        """The table of contents of the archive at `archive`. Raises DiskFull, READ_ERRORS."""
        return self._archive(archive).members

    def open(self, location: FileLocation) -> IO[bytes]:
        """The bytes of one file, uncompressed, from the start."""
        if not location.entries:
            return Path(location.path).open("rb")
        return self._archive(location.archive).open(location.entries[-1])

    def read(self, location: FileLocation, limit: int) -> bytes:
        """At most `limit` bytes; a whole member of an archive is checked against its checksum.

        Raises BadArchive: a member has fewer bytes than the archive states.
        """
        if location.entries:
            archive, index = self._archive(location.archive), location.entries[-1]
            data = archive.read(index, limit)
            if len(data) < min(limit, archive.members[index].size):
                raise BadArchive("a file in the archive is shorter than the archive states")
            return data
        # Reading allocates `limit` bytes, whatever the size of the file is.
        with Path(location.path).open("rb") as stream:
            return stream.read(min(limit, os.fstat(stream.fileno()).st_size))

    def state(self, location: FileLocation) -> tuple[int, int]:
        """Bytes, and a number that changes with the content: time of the last change (ns), or CRC-32 of a member."""
        if not location.entries:
            status = Path(location.path).stat()
            return status.st_size, status.st_mtime_ns
        archive, index = self._archive(location.archive), location.entries[-1]
        return archive.members[index].size, archive.checksum(index)

    def in_place(self, location: FileLocation) -> bool:
        """Whether another process can read it without first unpacking the archive that it is in."""
        if not location.entries:
            return True
        try:
            self._archive(location.archive)
        except READ_ERRORS:
            return False
        return len(location.entries) == 1 and location.archive not in self._copies

    def name(self, location: FileLocation) -> str:
        """`folder/delivery.zip:entry.dcm`, for warnings; entry numbers where the archive can no longer be read."""
        parts = [location.path]
        for depth, index in enumerate(location.entries):
            try:
                parts.append(self.members(FileLocation(location.path, location.entries[:depth]))[index].name)
            except READ_ERRORS:
                parts.append(f"entry {index + 1}")
        return ":".join(parts)

    def _archive(self, location: FileLocation) -> OpenArchive:
        if location in self._open:
            self._open.move_to_end(location)
            return self._open[location]
        opened = self._opened(location)
        try:
            self._require_bounded(location, opened)
        except BaseException:
            opened.close()
            raise
        self._open[location] = opened
        while len(self._open) > OPEN_ARCHIVES:
            self._open.popitem(last=False)[1].close()
        return opened

    def _opened(self, location: FileLocation) -> OpenArchive:
        file, packed = self._seekable(location)
        try:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            if is_compressed(head):
                with file:
                    blocks = unpacked(file)
                    first = next(blocks, b"")
                    # What is no archive is one file, and no slice is larger.
                    most = MAX_UNPACKED_BYTES if _is_archive(first) else MAX_SLICE_BYTES
                    limit = min(self._allowance(location, packed), most)
                    copy, size = spooled(chain((first,), blocks), limit, location.path)
                file = copy
                self._copies.add(location)
                self._spent(location, size)
                head = file.read(HEAD_BYTES)
                file.seek(0)
                if not is_tar(head):
                    return SingleFile(file, size, _name_inside(PurePath(self.name(location)).name))
            return TarArchive(file) if is_tar(head) else ZipArchive(file)
        except BaseException:
            file.close()
            raise

    def _seekable(self, location: FileLocation) -> tuple[IO[bytes], int]:
        """The file and its size. A member of an archive is not seekable: it is copied to an anonymous file."""
        if not location.entries:
            file = Path(location.path).open("rb")  # noqa: SIM115 (lives as long as the archive that reads it)
            return file, os.fstat(file.fileno()).st_size
        with self.open(location) as stream:
            limit = self._allowance(location, 0)
            copy, size = spooled(iter(lambda: stream.read(BLOCK), b""), limit, location.path)
        self._spent(location, size)
        return copy, size

    def _allowance(self, location: FileLocation, packed: int) -> int:
        """To how many bytes an archive may be unpacked: all that lie in one delivered file share one allowance."""
        if not location.entries:
            return allowance(packed)
        whole = allowance(Path(location.path).stat().st_size)
        return whole if location in self._seen else whole - self._unpacked[location.path]

    def _spent(self, location: FileLocation, size: int) -> None:
        if location.entries and location not in self._seen:
            self._unpacked[location.path] += size

    def _require_bounded(self, location: FileLocation, opened: OpenArchive) -> None:
        if location in self._seen or (not location.entries and len(opened.members) <= 1):
            return
        self._seen.add(location)
        self._members[location.path] += len(opened.members)
        if self._members[location.path] > MAX_MEMBERS:
            raise BadArchive(f"it holds more than {MAX_MEMBERS} files")


def walk(paths: Sequence[Path], archives: Archives) -> Iterator[Found | Refused]:
    """Every file below `paths`, each once, also those inside archives.

    Links are followed within `paths` only. A folder that is reached a second time is refused as a duplicate, one that
    cannot be listed as unreadable; each counts as one file, and so does an archive that cannot be read.

    Raises BadInput: a path does not exist, or a folder has no file. DiskFull: no space to unpack an archive.
    """
    for path in paths:
        if not _exists(path):
            raise BadInput(path, "there is no such file or folder", "check the path and its permissions")
    delivered = tuple(path.resolve() for path in paths)
    for path in paths:
        names = files_of(path, delivered)
        first = next(names, None)
        if first is None:
            raise BadInput(
                path, "the folder is empty", "give a folder, an archive or a file with DICOM images"
            )
        for name in chain((first,), names):
            if isinstance(name, Refused):
                yield name
            else:
                yield from _files_in(FileLocation(name), name, archives)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no permission for a folder above it, or a name that is too long
        return False


def files_below(folder: Path) -> Iterator[Path]:
    """The files that `walk` opens, in the same order, without those inside archives."""
    found = files_of(folder, (folder.resolve(),))
    yield from (Path(name) for name in found if not isinstance(name, Refused))


def _files_in(location: FileLocation, name: str, archives: Archives) -> Iterator[Found | Refused]:
    try:
        size = _size(location, archives)
        head = archives.read(location, HEAD_BYTES)
        if not _is_archive(head):
            if head.startswith(_OTHER_ARCHIVES) or (_ARCHIVE_NAME.search(name) and not _is_dicom(head)):
                yield Refused(name, LeftOut.ARCHIVE, _unread_archive(head))
            else:
                yield Found(location, name, size, head)
            return
        if len(location.entries) >= MAX_DEPTH:
            yield Refused(name, LeftOut.UNREADABLE, "archives are nested too deeply")
            return
        members = archives.members(location)
    except READ_ERRORS as error:
        yield Refused(name, LeftOut.UNREADABLE, _cause(error))
        return
    if not members:
        yield Refused(name, LeftOut.ARCHIVE, "an archive without files")
    for index, member in enumerate(members):
        inside = f"{name}:{member.name}"
        if member.refused is not None:
            yield Refused(inside, *member.refused)
        elif is_unsafe(member.name):
            yield Refused(inside, LeftOut.UNSAFE_NAME, "the name of the entry leaves the archive")
        elif not member.is_folder:
            yield from _files_in(FileLocation(location.path, (*location.entries, index)), inside, archives)


def is_unsafe(name: str) -> bool:
    """Whether a name in an archive is absolute, has a drive letter, or leads out of its folder."""
    return bool(re.match(r"[/\\]|[A-Za-z]:", name)) or ".." in re.split(r"[/\\]", name)


def _is_dicom(head: bytes) -> bool:
    return head[128:132] == b"DICM"


def _is_archive(head: bytes) -> bool:
    # The preamble of a DICOM file may hold anything, also what an archive begins with (PS3.10 7.1).
    return not _is_dicom(head) and (head.startswith(ZIP_MAGIC) or is_compressed(head) or is_tar(head))


def _unread_archive(head: bytes) -> str:
    if head.startswith(_OTHER_ARCHIVES):
        return "an archive of a kind that is not read: unpack it first"
    return "named as an archive, but not one that can be read: unpack it, or fetch it again"


def _name_inside(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and suffix.lower() in ("gz", "bz2", "xz") and stem else name


def _size(location: FileLocation, archives: Archives) -> int:
    if not location.entries:
        return Path(location.path).stat().st_size
    return archives.members(location.archive)[location.entries[-1]].size


def _cause(error: Exception) -> str:
    # Only the kind of failure: messages of libraries may quote contents.
    if isinstance(error, BadArchive):
        return str(error)
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, zipfile.BadZipFile | zlib.error | EOFError | struct.error):
        return "the archive is damaged or cut short"
    if isinstance(error, RuntimeError):
        return "the archive is encrypted or uses an unknown compression"
    return "it cannot be read"
