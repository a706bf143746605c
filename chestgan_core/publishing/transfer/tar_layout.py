"""The tar of a set compared with what chestgan writes for its labels, byte by byte, instead of being parsed.

In: the bytes of a tar, and its labels. Out: where its images lie, if headers and labels are exactly those that
`writing.image_tars` writes; a tar of another writer, or a changed one, is left to those who parse.
"""

import json
from collections.abc import Iterator, Sequence
from math import isnan
from mmap import mmap

from chestgan_core.publishing.reader.labels import Labels, json_name, label_json, png_name
from chestgan_core.publishing.reader.tars import BLOCK, MAX_PADDING
from chestgan_core.publishing.writing.tar_writer import FileHeaders


def places_as_written(tar: mmap, labels: Labels, own: Sequence[int]) -> list[tuple[int, int]] | None:
    """Offset and size of the PNG of each image; None where anything but the PNGs is not as chestgan writes it.

    own: the numbers of the images that the labels place in this tar.
    """
    headers, texts, place, found = FileHeaders(), _texts(labels, own), 0, []
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
    asked, positions = labels.asked[own].tolist(), labels.position[own].tolist()
    for k, is_asked, position in zip(own, asked, positions, strict=True):
        if k in labels.boxes:
            yield label_json(labels[k])
            continue
        name = json.dumps(labels.facts.class_of(k))
        begin = shown.setdefault(name, f',"class":{name},"index":')
        lies = "null" if isnan(position) else json.dumps(position)
        seed = labels.facts.first_seed + k
        text = f'{begin}{k},"position":{lies},"seed":{seed},"sha256":"{labels.sha256[k]}"}}'
        yield f'{{"boxes":{"[]" if is_asked else "null"}{text}'.encode()
