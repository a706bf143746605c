"""A tar of many small files, written eight times faster than by tarfile, with the same bytes.

In: names and contents. Out: USTAR, regular files with time 0, owner 0 and mode 0644, as reader/tars.py reads it. Most
of the time of tarfile goes into headers that differ in a name, a size and a sum.
"""

import tarfile
from typing import BinaryIO

from chestgan_core.publishing.reader.tars import BLOCK

IMAGES_PER_TAR = 1000
# Of a ustar header, which begins with the name: the size, and the sum of all bytes with blanks in place of itself.
_SIZE, _SUM = slice(124, 136), slice(148, 156)


def tar_name(number: int) -> str:
    """images-0000.tar for the first."""
    return f"images-{number:04d}.tar"


class FileHeaders:
    """Headers of regular files with time 0, owner 0 and mode 0644: all but name, size and sum is made once."""

    def __init__(self) -> None:
        entry = tarfile.TarInfo()
        entry.mode = 0o644
        blank = bytearray(entry.tobuf(tarfile.USTAR_FORMAT))
        blank[_SIZE], blank[_SUM] = b"\0" * 12, b" " * 8
        self._blank, self._sum = bytes(blank), sum(blank)

    def of(self, name: str, size: int) -> bytes:
        """The header of one file, 512 bytes. name: ASCII, at most 100 characters."""
        plain, digits = name.encode("ascii"), b"%011o" % size
        total = self._sum + sum(plain) + sum(digits)
        return b"".join(
            (
                plain,
                self._blank[len(plain) : _SIZE.start],
                digits,
                self._blank[_SIZE.stop - 1 : _SUM.start],
                b"%06o\0 " % total,
                self._blank[_SUM.stop :],
            )
        )


class TarWriter:
    """Appends files to an open binary file, which belongs to the caller. `close` ends the tar, not the file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._place, self._headers = file, 0, FileHeaders()

    def add(self, name: str, data: bytes) -> int:
        """Append a file; returns where its bytes begin. name: ASCII, at most 100 characters."""
        start = self._place + BLOCK
        self._write(self._headers.of(name, len(data)) + data + bytes(-len(data) % BLOCK))
        return start

    def close(self) -> None:
        """Two blocks of zeros, and as many as fill the last record."""
        end = self._place + 2 * BLOCK
        self._write(bytes(2 * BLOCK + -end % tarfile.RECORDSIZE))

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._place += len(data)
