"""Images that show the same, found by a perceptual hash.

In: grey images. Out: their hashes, which of them are near each other, and the groups that these pairs form. Imports
numpy and Pillow when called, because catalogs must load without them.

Measured on 286 CT images and 379 X-rays of two public collections, in bits of 256 that differ:
- The same image: with a line drawn on it 0 to 5; at half the size at most 3; as JPEG of quality 75 at most 7, of
  quality 30 at most 10; with gamma 0.7 more than 10 for 3 % of the CT images.
- Different images: the nearest two CT images are 11 apart and show neighbouring slices of one person. The nearest
  two X-rays, of different children, are 19 apart.
A crop by 1 % on each side changes the hash of half the images by more than 10 bits, and so do clipped bright parts:
such copies are not found, and neither are rotated or mirrored ones.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from chestgan_core.errors import BadInput

if TYPE_CHECKING:
    import numpy as np

EDGE = 16
"""Rows of the hash and bits per row: 256 bits. With the usual 64 bits, chest CT slices of two people look the same."""
BITS = EDGE * EDGE
NEAR = 10
"""Bits up to which two images count as the same: above nearly all copies, below the nearest different images."""
_DIGITS = BITS // 4
# By which fraction of the image's standard deviation a pixel must be brighter than its neighbour. Without it the noise
# of a compressed black background, and the rounding of a dark image, decide a tenth of the bits.
_STEP = 0.02


def perceptual_hash(image: "np.ndarray") -> str:
    """The difference hash (Krawetz 2013) of 16 x 16 bits: whether a pixel of the reduced image is brighter than its
    left neighbour.

    image: (H, W) uint8 grey, any size. Returns 64 hex digits, the first row first. A uniform image gives zeros.
    Raises ValueError: another shape or number type.
    """
    import numpy as np
    from PIL import Image

    if image.ndim != 2 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"a hash needs (H, W) uint8 grey, not {image.dtype} {image.shape}")
    grey = Image.fromarray(np.ascontiguousarray(image)).convert("F")
    # The Hamming filter widens with the scale, so that the size of the image hardly matters, and stays sharp.
    small = np.asarray(grey.resize((EDGE + 1, EDGE), Image.Resampling.HAMMING))
    return np.packbits(np.diff(small, axis=1) > _STEP * float(small.std())).tobytes().hex()


def distance(a: str, b: str) -> int:
    """How many of the 256 bits of two hashes differ."""
    return (int(a, 16) ^ int(b, 16)).bit_count()


def near_pairs(hashes: Sequence[str], max_bits: int) -> list[tuple[int, int, int]]:
    """All pairs (i, j, distance), i < j, of hashes that differ in at most `max_bits` bits, sorted.

    Exact, and without comparing each with each (near_hashes.py): 300,000 hashes within 10 bits take 5 s on one core.
    Of n equal hashes all n (n - 1) / 2 pairs are listed. Raises BadInput: not 64 hex digits.
    """
    import numpy as np

    from chestgan_core.imaging.near_hashes import near_rows

    distinct, members, starts, counts = _distinct(_words(hashes))
    pairs: list[tuple[int, int, int]] = []
    for rows, others, bits in near_rows(distinct, max_bits):
        # Each copy of the one with each copy of the other.
        products = counts[rows] * counts[others]
        pair = np.repeat(np.arange(len(rows)), products)
        number = np.arange(len(pair)) - np.repeat(np.cumsum(products) - products, products)
        row, other = rows[pair], others[pair]
        first = members[starts[row] + number // counts[other]]
        second = members[starts[other] + number % counts[other]]
        pairs += zip(
            np.minimum(first, second).tolist(),
            np.maximum(first, second).tolist(),
            bits[pair].tolist(),
            strict=True,
        )
    for start, count in zip(starts[counts > 1], counts[counts > 1], strict=True):
        copies = members[start : start + count].tolist()
        pairs += ((first, second, 0) for first, second in itertools.combinations(copies, 2))
    return sorted(pairs)


def near_to(hashes: Sequence[str], others: Sequence[str], max_bits: int) -> set[int]:
    """Which of the hashes, by place, differ in at most `max_bits` bits from one of the others. Raises BadInput.

    Exact, and as long as near_pairs of all of them together.
    """
    import numpy as np

    from chestgan_core.imaging.near_hashes import near_rows

    distinct, members, _, counts = _distinct(_words(hashes))
    against, *_ = _distinct(_words(others))
    of_hashes = np.arange(len(distinct) + len(against)) < len(distinct)
    near = np.zeros(len(distinct), bool)
    for rows, partners, _ in near_rows(np.concatenate([distinct, against]), max_bits, of_hashes):
        near[np.minimum(rows, partners)] = True
    return set(members[np.repeat(near, counts)].tolist())


def groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The numbers 0 to count - 1 in groups that pairs connect; groups and their members ascend, single ones too."""
    parent = list(range(count))

    def root(of: int) -> int:
        while parent[of] != of:
            parent[of] = parent[parent[of]]
            of = parent[of]
        return of

    for i, j in pairs:
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    found: dict[int, list[int]] = {}
    for number in range(count):
        found.setdefault(root(number), []).append(number)
    return list(found.values())


def _words(hashes: Sequence[str]) -> "np.ndarray":
    """(N, 4) uint64. Raises BadInput."""
    import numpy as np

    try:
        data = bytes.fromhex("".join(hashes))
    except ValueError:
        data = b""
    if any(len(each) != _DIGITS for each in hashes) or len(data) != len(hashes) * BITS // 8:
        raise BadInput("perceptual hash", f"is not {_DIGITS} hex digits", "make it with perceptual_hash")
    rows = np.frombuffer(data, np.uint16).reshape(len(hashes), EDGE)
    # Every fourth row goes into one word: the first word, which decides for nearly all pairs, then knows the whole
    # image and not only its black upper border.
    return rows.reshape(-1, 4, 4).transpose(0, 2, 1).copy().view(np.uint64).reshape(-1, 4)


def _distinct(words: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]":
    """Each row once; all places of rows, those of equal ones beside each other and ascending; of each distinct row
    where its places begin there, and how many they are.
    """
    import numpy as np

    members = np.lexsort(words.T)
    ordered = words[members]
    starts = np.flatnonzero(np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(words)])
    return ordered[starts], members, starts, np.diff(starts, append=len(words))
