"""The sizes that the pages of a Parquet file state, before anything is decompressed.

In: the file's metadata and bytes. Out: the sum of the uncompressed sizes. The metadata has sums too, but nothing checks
them: the reader allocates what the header of each page says, which may be 2 GB for a page of a few bytes. A header is a
struct of Thrift's compact protocol (parquet-format, PageHeader: field 2 is uncompressed_page_size, field 3
compressed_page_size).
"""

import pyarrow.parquet as pq

_UNCOMPRESSED, _COMPRESSED = 2, 3
_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _LISTS, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12
_MAX_HEADER_FIELDS, _MAX_DEPTH, _MAX_PAGES = 10_000, 8, 1_000_000


def uncompressed_bytes(metadata: pq.FileMetaData, data: bytes) -> int:
    """Of all pages together. data: the whole file. Raises ValueError: a header is no header."""
    view, total, pages = memoryview(data), 0, 0
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            # 0 stands for none: a column without rows has a dictionary page only.
            dictionary = chunk.dictionary_page_offset if chunk.has_dictionary_page else None
            start = min((at for at in (chunk.data_page_offset, dictionary) if at), default=0)
            place, end = start, start + (chunk.total_compressed_size if start else 0)
            if not 0 <= place <= end <= len(view):
                raise ValueError("a column lies outside of the file")
            while place < end:
                header = _Header(view, place)
                uncompressed, compressed = header.sizes()
                pages += 1
                if uncompressed < 0 or compressed < 0 or pages > _MAX_PAGES:
                    raise ValueError("a page has no size")
                total += uncompressed
                place = header.place + compressed
    return total


class _Header:
    """One header, read from its first byte; `place` is then that of the page's data."""

    def __init__(self, view: memoryview, place: int) -> None:
        self._view, self.place, self._fields = view, place, 0

    def sizes(self) -> tuple[int, int]:
        """Uncompressed and compressed bytes of the page; -1 where one is missing."""
        found = self._struct(0)
        return found.get(_UNCOMPRESSED, -1), found.get(_COMPRESSED, -1)

    def _byte(self) -> int:
        if self.place >= len(self._view):
            raise ValueError("a header is cut short")
        self.place += 1
        return int(self._view[self.place - 1])

    def _varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number of a header has no end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _struct(self, depth: int) -> dict[int, int]:
        """The integer fields of a struct, by their numbers."""
        if depth > _MAX_DEPTH:
            raise ValueError("a header is nested too deeply")
        found: dict[int, int] = {}
        number = 0
        while head := self._byte():
            self._fields += 1
            if self._fields > _MAX_HEADER_FIELDS:
                raise ValueError("a header has too many fields")
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            value = self._value(head & 0x0F, depth)
            if value is not None:
                found[number] = value
        return found

    def _value(self, kind: int, depth: int, in_list: bool = False) -> int | None:
        if kind in _BOOLEANS:
            if in_list:
                self._byte()
        elif kind == _BYTE:
            self._byte()
        elif kind in _INTEGERS:
            return self._zigzag()
        elif kind == _DOUBLE:
            self.place += 8
        elif kind == _BINARY:
            length = self._varint()  # moves `place`, too
            self.place += length
        elif kind in _LISTS:
            head = self._byte()
            for _ in range(self._count(head >> 4 if head >> 4 != 15 else self._varint())):
                self._value(head & 0x0F, depth + 1, in_list=True)
        elif kind == _STRUCT:
            self._struct(depth + 1)
        else:
            raise ValueError("a header has a field of an unknown type")
        return None

    def _count(self, count: int) -> int:
        self._fields += count
        if self._fields > _MAX_HEADER_FIELDS:
            raise ValueError("a header has too many fields")
        return count
