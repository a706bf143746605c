"""Files compressed as a whole: gzip, bzip2 and xz, as in .tar.gz, .tgz and .dcm.gz.

In: a stream. Out: its unpacked bytes in blocks of bounded size, or BadArchive. Nothing is unpacked at once: a kilobyte
may hold a gigabyte of zeros.
"""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Protocol

from chestgan_core.dicom.archive_members import BLOCK, BadArchive, Member, checksum_of, part_of

# xz -9 needs 65 MiB.
_XZ_MEMORY_BYTES = 128 * 1024**2
_INPUT_BYTES = 16 * 1024
_START_BYTES = 16  # by which a stream is recognized


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the interface of bz2's and lzma's. zlib checks CRC and length of gzip itself."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


# How a stream begins -> its decompressor. After BZh and the level comes a block, or the end of an empty stream.
_KINDS: tuple[tuple[re.Pattern[bytes], Callable[[], _Decompressor]], ...] = (
    (re.compile(rb"\x1f\x8b\x08"), _Gzip),
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), bz2.BZ2Decompressor),
    (re.compile(rb"\xfd7zXZ\x00"), _xz),
)


def is_compressed(head: bytes) -> bool:
    """Whether a file that begins with these bytes is one of gzip, bzip2, xz."""
    return any(start.match(head) for start, _ in _KINDS)


def unpacked(stream: IO[bytes]) -> Iterator[bytes]:
    """The unpacked bytes of a compressed stream, at most BLOCK at a time; several streams in a row are one.

    Zeros after the end, which tapes add, are skipped. Raises BadArchive: damaged, cut short, or other bytes follow.
    """
    data = stream.read(_INPUT_BYTES)
    while data:
        make = next((make for start, make in _KINDS if start.match(data)), None)
        if make is None:
            raise BadArchive("other bytes follow its compressed ones")
        decompressor = make()
        while not decompressor.eof:
            try:
                block = decompressor.decompress(data, BLOCK)
            except (zlib.error, lzma.LZMAError, OSError, ValueError, MemoryError) as error:
                raise BadArchive("its compressed bytes are damaged") from error
            if block:
                yield block
            data = b""
            if decompressor.needs_input and not decompressor.eof:
                data = stream.read(_INPUT_BYTES)
                if not data:
                    raise BadArchive("it is cut short")
        data = decompressor.unused_data.lstrip(b"\0")
        while len(data) < _START_BYTES and (more := stream.read(_INPUT_BYTES)):
            data = (data + more).lstrip(b"\0")


class SingleFile:
    """A compressed file that holds no archive, unpacked, as an archive with one member."""

    def __init__(self, copy: IO[bytes], size: int, name: str) -> None:
        self._copy = copy
        self.members: tuple[Member, ...] = (Member(name, size),)

    def open(self, index: int) -> IO[bytes]:
        """A stream of its own: closing it does not close the copy."""
        return part_of(self._copy, 0, self.members[0].size)

    def read(self, index: int, limit: int) -> bytes:
        """At most `limit` bytes; the checksum was verified when the copy was made."""
        self._copy.seek(0)
        return self._copy.read(limit)

    def checksum(self, index: int) -> int:
        """CRC-32 of the unpacked bytes."""
        return checksum_of(self.open(index))

    def close(self) -> None:
        """Remove the copy."""
        self._copy.close()
