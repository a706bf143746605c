"""The tar of a set compared with what chestgan writes for its labels, byte by byte, instead of being parsed.

In: the bytes of a tar, and its labels. Out: where its images lie, if headers and labels are exactly those that
`writing.image_tars` writes; a tar of another writer, or a changed one, is left to those who parse.
"""

import json
import tarfile
from collections.abc import Iterator, Sequence
from mmap import mmap

from chestgan_core.publishing.reader.labels import Labels, json_name, label_json, png_name
from chestgan_core.publishing.reader.tars import BLOCK, MAX_PADDING

# Of a ustar header, which begins with the name: the size, and the sum of all bytes with blanks in place of itself.
_SIZE, _SUM = slice(124, 136), slice(148, 156)


def places_as_written(tar: mmap, labels: Labels, own: Sequence[int]) -> list[tuple[int, int]] | None:
    """Offset and size of the PNG of each image; None where anything but the PNGs is not as chestgan writes it.

    own: the numbers of the images that the labels place in this tar.
    """
    headers, texts, place, found = _Headers(), _texts(labels, own), 0, []
    for k, text in zip(own, texts, strict=True):
        size = int(labels.bytes[k])
        behind = place + BLOCK + -(-size // BLOCK) * BLOCK
        start = behind + BLOCK
        if (
            int(labels.offset[k]) != place + BLOCK
            or tar[place : place + BLOCK] != headers.of(png_name(k), size)
            or tar[behind:start] != headers.of(json_name(k), len(text))
            or tar[start : start + len(text)] != text
        ):
            return None
        found.append((place + BLOCK, size))
        place = start + -(-len(text) // BLOCK) * BLOCK
    end = len(tar) - place
    return found if 2 * BLOCK <= end <= MAX_PADDING and not any(tar[place:]) else None


def _texts(labels: Labels, own: Sequence[int]) -> Iterator[bytes]:
    """The JSON beside each image: labels.label_json, put together faster where there are no boxes."""
    shown: dict[str, str] = {}
    for k in own:
        if k in labels.boxes:
            yield label_json(labels[k])
            continue
        name = labels.facts.class_of(k)
        begin = shown.setdefault(name, f'{{"boxes":[],"class":{json.dumps(name)},"index":')
        seed = labels.facts.first_seed + k
        yield f'{begin}{k},"seed":{seed},"sha256":"{labels.sha256[k]}"}}'.encode()


class _Headers:
    """Headers of regular files as tars.add_file writes them."""

    def __init__(self) -> None:
        entry = tarfile.TarInfo()
        entry.mode = 0o644
        blank = bytearray(entry.tobuf(tarfile.USTAR_FORMAT))
        blank[_SIZE], blank[_SUM] = b"\0" * 12, b" " * 8
        self._blank, self._sum = bytes(blank), sum(blank)

    def of(self, name: str, size: int) -> bytes:
        """The header of one file, 512 bytes. name: ASCII."""
        plain, digits = name.encode(), b"%011o" % size
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
