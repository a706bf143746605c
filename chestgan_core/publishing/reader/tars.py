"""Where the files of a tar lie, for reading them one by one.

In: the tar of a set, perhaps of a stranger. Out: names, offsets and sizes. A tar is read as what `writing.tar_writer`
writes and nothing else: regular files one after the other, with a plain name each. So there are no links, sparse files,
extended headers (which may say 1 TiB) or names with a folder to interpret, and nothing is allocated for a size that the
file does not have.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chestgan_core.errors import DamagedObject
from chestgan_core.local.files import open_regular

BLOCK = 512
MAX_PADDING = 21 * BLOCK
"""Zeros at the end: the two blocks that end a tar, and those that fill its last record of 20. Where the first of the
two is the last of a record, there are a whole record and one."""
REMEDY = "fetch the set again; if that does not help, ask whoever published it"
FILE_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Member:
    """Where the bytes of one file lie inside a tar."""

    tar: Path
    name: str
    offset: int
    bytes: int

    @property
    def what(self) -> str:
        """What an error calls it."""
        return f"{self.tar}: {self.name}"


def members(path: Path) -> Iterator[Member]:
    """The files of an uncompressed tar in order, without reading their content.

    Raises DamagedObject: anything but regular files with plain names that lie inside the tar, or a name twice.
    """
    try:
        with open_regular(path) as file:
            yield from members_in(file, os.fstat(file.fileno()).st_size, path)
    except OSError as error:
        raise DamagedObject(path, f"cannot be read ({error.strerror})", REMEDY) from error


class Seekable(Protocol):
    """What of a file is needed to read a tar; it is read forwards."""

    def seek(self, place: int, /) -> object:
        """Go to a byte."""
        ...

    def read(self, count: int, /) -> bytes:
        """The next bytes, fewer at the end."""
        ...


def members_in(file: Seekable, size: int, path: Path) -> Iterator[Member]:
    """As members, of a tar of this size that need not be a file on the disk. path: named by an error."""
    names = set()
    for member in _walk(path, file, size):
        if member.name in names:
            raise DamagedObject(path, f"has two files of the name {member.name}", REMEDY)
        names.add(member.name)
        yield member


def read_member(member: Member) -> bytes:
    """The bytes of one file. Opens the tar anew: nothing has to survive a fork of data loader workers.

    Raises DamagedObject: the tar was removed or cut short since it was opened.
    """
    try:
        with open_regular(member.tar) as file:
            file.seek(member.offset)
            data = file.read(member.bytes)
    except OSError as error:
        raise DamagedObject(member.tar, f"cannot be read ({error.strerror})", REMEDY) from error
    if len(data) != member.bytes:
        raise DamagedObject(member.tar, f"is cut short in {member.name}", REMEDY)
    return data


def _walk(path: Path, file: Seekable, end: int) -> Iterator[Member]:
    place = 0
    while True:
        file.seek(place)
        header = file.read(BLOCK)
        if len(header) < BLOCK:
            raise DamagedObject(path, "is not a complete tar: it has no end", REMEDY)
        if not any(header):
            break
        name, size = _parse(path, header)
        start = place + BLOCK
        if start + size > end:
            raise DamagedObject(path, f"is not a complete tar: {name} would end beyond it", REMEDY)
        yield Member(path, name, start, size)
        place = start + -(-size // BLOCK) * BLOCK
    if end - place > MAX_PADDING or any(header + file.read(MAX_PADDING)):
        raise DamagedObject(path, "has something behind its last file", REMEDY)


def _parse(path: Path, header: bytes) -> tuple[str, int]:
    """Name and size of a regular file (POSIX.1-1988 ustar header)."""
    name, size, stored_sum, kind = header[:100], header[124:136], header[148:156], header[156:157]
    link, magic, prefix = header[157:257], header[257:262], header[345:500]
    without_sum = header[:148] + b" " * 8 + header[156:]
    if magic != b"ustar" or _octal(stored_sum) != sum(without_sum):
        raise DamagedObject(path, "is not a tar, or damaged", REMEDY)
    plain = name.rstrip(b"\0")
    if kind not in (b"0", b"\0") or any(link) or any(prefix) or not FILE_NAME.fullmatch(plain):
        shown = plain.decode("ascii", "replace")
        raise DamagedObject(path, f"holds {shown}, which is not a regular file with a plain name", REMEDY)
    length = _octal(size)
    if length is None:
        raise DamagedObject(path, f"holds {plain.decode()}, whose size is not a number", REMEDY)
    return plain.decode(), length


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \0")
    return int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else None
