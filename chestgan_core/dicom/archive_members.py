"""What zips, tars and compressed files have in common: members, and the limits that a delivery must keep.

In: nothing. Out: `Member`, `BadArchive`, the limits, and a temporary copy that cannot fill the disk. A legitimate
delivery stays far below every limit; an archive made to exhaust time, memory or disk is refused in one line.
"""

import errno
import io
import shutil
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Protocol

from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.errors import DiskFull
from chestgan_core.local.files import HEADROOM_BYTES

BLOCK = 1024**2
# Of one archive, and of everything inside one delivered file. A whole collection of CT has a few hundred thousand.
MAX_MEMBERS = 500_000
# What archives inside one delivered file, and compressed tars, may expand to. Real CT compresses to about half, and
# noiseless pictures or masks to some hundredth; the first bytes are free, since small files may be all one value.
FREE_BYTES, MAX_EXPANSION = 64 * 1024**2, 100
MAX_UNPACKED_BYTES = 64 * 1024**3
IN_MEMORY_BYTES = 4 * 1024**2


class BadArchive(ValueError):
    """An archive, or a member, that is damaged or exceeds a limit. Its text is the cause, and quotes no content."""


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of an archive. size: bytes, unpacked, as the archive states it. refused: why it is not opened."""

    name: str
    size: int
    is_folder: bool = False
    refused: tuple[LeftOut, str] | None = None


class OpenArchive(Protocol):
    """An open archive: its table of contents, and the bytes of each member."""

    members: tuple[Member, ...]

    def open(self, index: int) -> IO[bytes]:
        """The bytes of a member, unpacked, from the start."""

    def read(self, index: int, limit: int) -> bytes:
        """At most `limit` bytes of a member; a whole one is checked against its checksum, where the archive has one."""

    def checksum(self, index: int) -> int:
        """CRC-32 of the bytes of a member."""

    def close(self) -> None:
        """Close the archive and its file."""


def allowance(packed: int) -> int:
    """To how many bytes `packed` bytes may expand."""
    return min(FREE_BYTES + MAX_EXPANSION * packed, MAX_UNPACKED_BYTES)


def spooled(blocks: Iterable[bytes], limit: int, what: object) -> tuple[IO[bytes], int]:
    """A seekable copy without a name, in memory while it is small, and its size.

    Raises BadArchive: more than `limit` bytes. Raises DiskFull, which names `what`: the folder of temporary files has
    no space for it.
    """
    copy: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 (the caller closes it)
    size = 0
    try:
        for block in blocks:
            size += len(block)
            if size > MAX_UNPACKED_BYTES:
                raise BadArchive(f"it unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB: unpack it first")
            if size > limit:
                raise BadArchive(
                    "it unpacks to far more than a slice or a delivery of its size has: possibly a bomb"
                )
            if size > IN_MEMORY_BYTES and shutil.disk_usage(tempfile.gettempdir()).free < HEADROOM_BYTES:
                raise _no_space(what)
            try:
                copy.write(block)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise _no_space(what) from error
                raise
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy, size


def _no_space(what: object) -> DiskFull:
    cause = f"is an archive that must be unpacked to be read, and {tempfile.gettempdir()} has no space for it"
    return DiskFull(
        what, cause, "free some space, set TMPDIR to a folder on a larger disk, or unpack it yourself"
    )


def part_of(file: IO[bytes], start: int, size: int) -> IO[bytes]:
    """A stream over the bytes [start, start + size) of a file, which stays open when the stream is closed."""
    return io.BufferedReader(_Part(file, start, size))


def checksum_of(stream: IO[bytes]) -> int:
    """CRC-32 of all bytes of a stream, which is closed."""
    crc = 0
    with stream:
        while block := stream.read(BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


class _Part(io.RawIOBase):
    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._file, self._at, self._end = file, start, start + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        self._file.seek(self._at)
        data = self._file.read(min(len(buffer), self._end - self._at))
        if not data and self._at < self._end and len(buffer):
            raise BadArchive("it is cut short")
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
