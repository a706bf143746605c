"""A tar as deliveries of CT come in: regular files of ustar, GNU and pax archives.

In: a seekable file. Out: its members, and their bytes. Links, devices, pipes and sparse files are members that are
refused: nothing is created, and nothing outside the archive is reached.

Written here because tarfile reads extended headers of any length into memory, ends silently at a damaged header, and
has no limit. The format is that of POSIX.1-2001 pax, with GNU's long names and numbers.
"""

import io
import os
from collections.abc import Iterator
from typing import IO

from chestgan_core.dicom.archive_members import (
    BLOCK,
    MAX_MEMBERS,
    BadArchive,
    Member,
    checksum_of,
    part_of,
)
from chestgan_core.dicom.left_out import LeftOut

_UNIT = 512
_MAX_EXTENDED_BYTES = 256 * 1024  # of a long name or the extended header of one file
_REGULAR = (b"0", b"\0", b"7")
_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK = (b"x", b"X"), (b"g",), b"L", b"K"
_KINDS = {
    b"1": "a link",
    b"2": "a link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
    b"M": "a part of a file that began in another archive",
}
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")


def is_tar(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a tar: its first header has the right checksum."""
    return len(head) >= _UNIT and any(head[:_UNIT]) and _has_checksum(head[:_UNIT])


class TarArchive:
    """An open tar. Raises BadArchive: more members than a delivery has. Damage becomes a refused member."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        self._offsets: list[int] = []
        members: list[Member] = []
        for member, offset in self._scan():
            members.append(member)
            self._offsets.append(offset)
            if len(members) > MAX_MEMBERS:
                raise BadArchive(f"it has more than {MAX_MEMBERS} entries")
        self.members = tuple(members)

    def open(self, index: int) -> IO[bytes]:
        """A stream over the part of the file that belongs to the member."""
        if (refused := self.members[index].refused) is not None:
            raise BadArchive(refused[1])
        return part_of(self._file, self._offsets[index], self.members[index].size)

    def read(self, index: int, limit: int) -> bytes:
        """At most `limit` bytes. A tar has no checksums of contents."""
        member = self.members[index]
        if member.refused is not None:
            raise BadArchive(member.refused[1])
        self._file.seek(self._offsets[index])
        wanted = min(limit, member.size)
        data = self._file.read(wanted)
        if len(data) < wanted:
            raise BadArchive("it is cut short")
        return data

    def checksum(self, index: int) -> int:
        """CRC-32 of the bytes of a member, which are read for it."""
        return checksum_of(self.open(index))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _scan(self) -> Iterator[tuple[Member, int]]:
        at, ended = 0, False
        extended: dict[str, str] = {}
        name_before = ""
        while at + _UNIT <= self._size:
            header = self._bytes(at, _UNIT)
            if not any(header):
                # The end mark; tars that were written one after the other go on behind it.
                ended = True
                at = self._after_zeros(at)
                continue
            size = _number(header[124:136])
            if not _has_checksum(header) or size is None:
                yield _damaged("its next header is damaged" if not ended else "other bytes follow its end"), 0
                return
            ended = False
            kind = header[156:157]
            at += _UNIT
            if kind in (*_EXTENDED, *_GLOBAL, _LONG_NAME, _LONG_LINK):
                if size > _MAX_EXTENDED_BYTES or at + size > self._size:
                    yield _damaged("an extended header is too long or cut short"), 0
                    return
                text = self._bytes(at, size)
                if kind in _EXTENDED:
                    extended = _extended(text)
                elif kind == _LONG_NAME:
                    name_before = _text(text)
                at += _padded(size)
                continue
            name = extended.get("path") or name_before or _name(header)
            if extended.get("size", "").isdecimal():
                size = int(extended["size"][:20])
            sparse = kind == b"S" or any(key.startswith("GNU.sparse") for key in extended)
            extended, name_before = {}, ""
            if kind == b"S":
                at = self._after_sparse_map(at, header)
            start, length = at, 0 if kind in _WITHOUT_DATA else size
            at += _padded(length)
            is_folder = kind == b"5" or (kind == b"\0" and name.endswith("/"))
            if start + length > self._size:
                yield Member(name, size, refused=(LeftOut.UNREADABLE, "the archive is cut short")), 0
                return
            if sparse:
                yield Member(name, size, refused=(LeftOut.UNREADABLE, "a sparse file: unpack the archive")), 0
            elif kind in _REGULAR or is_folder:
                yield Member(name, size, is_folder), start
            elif kind != b"V":  # the name of the whole archive
                cause = f"{_KINDS.get(kind, 'an entry of another kind')} in an archive, which is not opened"
                yield Member(name, size, refused=(LeftOut.SPECIAL_FILE, cause)), 0
        if not ended:
            yield _damaged("it has no end mark, so it may be cut short"), 0

    def _bytes(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(count)

    def _after_zeros(self, at: int) -> int:
        """The first block behind `at` that is not all zeros, or the end of the file."""
        while block := self._bytes(at, BLOCK):
            rest = block.lstrip(b"\0")
            if rest:
                return at + (len(block) - len(rest)) // _UNIT * _UNIT
            at += len(block)
        return self._size

    def _after_sparse_map(self, at: int, header: bytes) -> int:
        more = header[482] != 0
        while more and at + _UNIT <= self._size:
            more = self._bytes(at, _UNIT)[504] != 0
            at += _UNIT
        return at


def _damaged(cause: str) -> Member:
    return Member("the rest of the archive", 0, refused=(LeftOut.UNREADABLE, cause))


def _has_checksum(header: bytes) -> bool:
    stated = _number(header[148:156])
    without = header[:148] + b" " * 8 + header[156:]
    # Old programs added bytes as signed characters.
    return stated in (sum(without), sum(byte - 256 * (byte > 127) for byte in without))


def _number(field: bytes) -> int | None:
    """Octal digits, or GNU's base 256; None: neither, or negative."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.replace(b"\0", b" ").split()
    if not digits:
        return 0
    return int(digits[0], 8) if len(digits[0].strip(b"01234567")) == 0 else None


def _name(header: bytes) -> str:
    name = _text(header[:100])
    # GNU's older format has other things in the place of the prefix.
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(raw: bytes) -> str:
    return os.fsdecode(raw.partition(b"\0")[0])


def _extended(data: bytes) -> dict[str, str]:
    """The records `<length> <key>=<value>\\n` of a pax header; what is not such a record ends them."""
    records: dict[str, str] = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not len(length) + 2 < int(length[:9]) <= len(data):
            break
        record, data = data[: int(length)], data[int(length) :]
        key, _, value = record[len(length) + 1 : -1].partition(b"=")
        records[os.fsdecode(key)] = os.fsdecode(value)
    return records


def _padded(size: int) -> int:
    return -(-size // _UNIT) * _UNIT
