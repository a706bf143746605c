"""A zip that a stranger made: the one place where its table of contents is checked before an entry is opened.

In: a seekable file. Out: its members, and their bytes. Entries that share bytes with others, are encrypted or
compressed in a way that cannot be read are members that are refused. No entry gives more bytes than it states.
"""

import bz2
import io
import lzma
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

from isal import isal_zlib

from chestgan_core.dicom.archive_members import FREE_BYTES, MAX_MEMBERS, BadArchive, Member
from chestgan_core.dicom.left_out import LeftOut

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_LOCAL_HEADER_BYTES, _TABLE_ENTRY_BYTES = 30, 46  # .ZIP specification 4.3.7 and 4.3.12, without names
_ZIP64_END_BYTES = 56 + 20  # 4.3.14 and 4.3.15, between the table and the usual end record
# With names and times; the table of 500,000 entries of a hundred characters has 75 MB.
_MAX_TABLE_BYTES = 128 * 1024**2
# What takes up to so much of the zip is read at once, more step by step: a slice, compressed or not.
_AT_ONCE, _ONE_SHOT_BYTES = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), 1024**2
_ENCRYPTED = 0x01 | 0x40
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_MAX_LZMA_DICTIONARY = 64 * 1024**2


class ZipArchive:
    """An open zip. Raises BadArchive, zipfile.BadZipFile and what zipfile raises: damaged, or too many entries."""

    def __init__(self, file: IO[bytes]) -> None:
        _require_bounded_table(file)
        self._file = file
        self._zip = zipfile.ZipFile(file)
        self._entries = self._zip.infolist()
        overlapping = _overlapping(self._entries, self._zip.start_dir)
        self.members = tuple(
            Member(entry.filename, entry.file_size, entry.is_dir(), _refused(entry, index in overlapping))
            for index, entry in enumerate(self._entries)
        )

    def open(self, index: int) -> IO[bytes]:
        """A stream that ends at the stated size, and raises BadZipFile where the CRC differs."""
        self._require_readable(index)
        entry = self._entries[index]
        if entry.compress_type in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            return io.BytesIO(self._expanded(entry))
        return self._zip.open(entry)

    def read(self, index: int, limit: int) -> bytes:
        """At most `limit` bytes; a whole entry is checked against its CRC."""
        self._require_readable(index)
        entry = self._entries[index]
        if entry.compress_type in _AT_ONCE:
            if limit < entry.file_size and limit <= _ONE_SHOT_BYTES:
                return self._first(entry, limit)
            if limit >= entry.file_size and entry.compress_size <= _ONE_SHOT_BYTES:
                return _verified(self._contents(entry, entry.compress_size, entry.file_size + 1), entry)
        with self.open(index) as stream:
            return stream.read(limit)

    def checksum(self, index: int) -> int:
        """The CRC-32 that the zip states; every reader of the whole entry verifies it."""
        return self._entries[index].CRC

    def close(self) -> None:
        """Close the zip and its file."""
        self._zip.close()
        self._file.close()

    def _require_readable(self, index: int) -> None:
        if (refused := self.members[index].refused) is not None:
            raise BadArchive(refused[1])

    def _first(self, entry: zipfile.ZipInfo, limit: int) -> bytes:
        """The first bytes of an entry that has more."""
        # Deflate adds five bytes to what it cannot compress, for each block of up to 64 KiB (RFC 1951 3.2.4); whoever
        # ends more blocks than that on purpose is read step by step.
        data = self._contents(entry, min(limit + 64, entry.compress_size), limit)
        if len(data) == limit:
            return data
        with self._zip.open(entry) as stream:
            return stream.read(limit)

    def _contents(self, entry: zipfile.ZipInfo, packed: int, limit: int) -> bytes:
        """At most `limit` bytes, from the first `packed` bytes of the entry, in one call.

        ISA-L takes 0.4 of the time of zlib, and zipfile inflates into growing pieces.
        """
        data = self._packed(entry, packed)
        if entry.compress_type == zipfile.ZIP_STORED:
            return data[:limit]
        try:
            return isal_zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limit)
        except isal_zlib.error as error:  # type: ignore[misc]  # its stub calls it an object, not a class
            raise zipfile.BadZipFile("damaged entry") from error

    def _expanded(self, entry: zipfile.ZipInfo) -> bytes:
        """A whole entry in bzip2 or LZMA, which zipfile would unpack without a limit."""
        if max(entry.file_size, entry.compress_size) > FREE_BYTES:
            raise BadArchive("an entry is too large for its kind of compression")
        packed = self._packed(entry, entry.compress_size)
        if entry.compress_type == zipfile.ZIP_BZIP2:
            return _verified(bz2.BZ2Decompressor().decompress(packed, entry.file_size + 1), entry)
        # .ZIP specification 5.8.8: version, length of the properties, properties as of LZMA, stream.
        (length,) = struct.unpack_from("<H", packed, 2)
        packing, dictionary = struct.unpack_from("<BI", packed, 4)
        if length != 5 or packing >= 225 or dictionary > _MAX_LZMA_DICTIONARY:
            raise BadArchive("an entry has unusual LZMA properties")
        filters = [
            {
                "id": lzma.FILTER_LZMA1,
                "lc": packing % 9,
                "lp": packing // 9 % 5,
                "pb": packing // 45,
                "dict_size": max(dictionary, 4096),
            }
        ]
        data = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters).decompress(
            packed[9:], entry.file_size + 1
        )
        return _verified(data, entry)

    def _packed(self, entry: zipfile.ZipInfo, size: int) -> bytes:
        self._file.seek(entry.header_offset)
        local = self._file.read(_LOCAL_HEADER_BYTES)  # it ends with the lengths of name and extra field
        if local[:4] != ZIP_MAGIC[0]:
            raise zipfile.BadZipFile("damaged entry")
        self._file.seek(sum(struct.unpack_from("<HH", local, 26)), os.SEEK_CUR)
        return self._file.read(size)


def open_zip(path: Path) -> zipfile.ZipFile:
    """A zip from a server, whose entries are then read as streams of their stated sizes.

    Raises BadArchive: entries share bytes, are encrypted, or are too many; zipfile.BadZipFile, OSError.
    """
    with path.open("rb") as file:
        refused = [member.refused[1] for member in ZipArchive(file).members if member.refused is not None]
    if refused:
        raise BadArchive(refused[0])
    return zipfile.ZipFile(path)


def _verified(data: bytes, entry: zipfile.ZipInfo) -> bytes:
    if len(data) != entry.file_size or isal_zlib.crc32(data) != entry.CRC:
        raise zipfile.BadZipFile("damaged entry")
    return data


def _require_bounded_table(file: IO[bytes]) -> None:
    """zipfile reads the whole table of contents, so its size is looked up first, in the same way."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if not end:
        return  # zipfile says what is wrong
    size = end[5]
    if size > _MAX_TABLE_BYTES:
        raise BadArchive("its table of contents is larger than that of any delivery")
    if size // _TABLE_ENTRY_BYTES > MAX_MEMBERS:
        is_zip64 = end[0] == zipfile.stringEndArchive64  # type: ignore[attr-defined]
        file.seek(max(end[9] - size - _ZIP64_END_BYTES * is_zip64, 0))
        table, at, count = file.read(size), 0, 0
        while at + _TABLE_ENTRY_BYTES <= len(table) and count <= MAX_MEMBERS:
            at += _TABLE_ENTRY_BYTES + sum(struct.unpack_from("<HHH", table, at + 28))
            count += 1
        if count > MAX_MEMBERS:
            raise BadArchive(f"it has more than {MAX_MEMBERS} entries")


def _refused(entry: zipfile.ZipInfo, overlaps: bool) -> tuple[LeftOut, str] | None:
    if overlaps:
        return LeftOut.UNREADABLE, "the entry shares its bytes with another one, or lies outside the zip"
    if entry.flag_bits & _ENCRYPTED:
        return LeftOut.UNREADABLE, "the entry is encrypted: unpack it with its password first"
    if entry.compress_type not in _READABLE:
        cause = f"the entry is compressed by method {entry.compress_type}, which is not read: unpack it first"
        return LeftOut.UNREADABLE, cause
    if entry.compress_type == zipfile.ZIP_STORED and entry.file_size != entry.compress_size:
        return LeftOut.UNREADABLE, "the entry has two sizes"
    return None


def _overlapping(entries: list[zipfile.ZipInfo], table_at: int) -> set[int]:
    """Indices of the entries that share bytes with another one or with the table of contents."""
    found: set[int] = set()
    reach, holder = 0, -1
    for index in sorted(range(len(entries)), key=lambda index: entries[index].header_offset):
        entry = entries[index]
        if entry.header_offset < reach:
            found |= {index, holder}
        end = entry.header_offset + _LOCAL_HEADER_BYTES + entry.compress_size
        if entry.header_offset < 0 or end > table_at:
            found.add(index)
        elif end > reach:
            reach, holder = end, index
    return found - {-1}
