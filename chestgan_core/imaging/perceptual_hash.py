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
# A block of this many pairs stays in the cache of a core: 2 MiB of words.
_ROWS, _COLUMNS = 128, 2048


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

    Every pair is compared: 50,000 hashes within 10 bits take about ten seconds on one core and 100 MB.
    Raises BadInput: not 64 hex digits.
    """
    import numpy as np

    words, order = _words(hashes)
    # Two hashes differ in at least as many bits as their numbers of ones do: sorted by that number, the partners of a
    # hash follow it, and end where the number has grown by more than max_bits.
    ones = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    pairs: list[tuple[int, int, int]] = []
    for top in range(0, len(words), _ROWS):
        bottom = min(top + _ROWS, len(words))
        end = int(np.searchsorted(ones, ones[bottom - 1] + max_bits, side="right"))
        for left in range(top, end, _COLUMNS):
            right = min(left + _COLUMNS, end)
            rows, columns, bits = _near(words[top:bottom], words[left:right], max_bits)
            rows, columns = rows + top, columns + left
            later = columns > rows
            first, second = order[rows[later]], order[columns[later]]
            pairs += zip(
                np.minimum(first, second).tolist(),
                np.maximum(first, second).tolist(),
                bits[later].tolist(),
                strict=True,
            )
    return sorted(pairs)


def near_to(hashes: Sequence[str], others: Sequence[str], max_bits: int) -> set[int]:
    """Which of the hashes, by place, differ in at most `max_bits` bits from one of the others. Raises BadInput.

    Time grows with the product of both: 20,000 against 80,000 take some ten seconds on one core.
    """
    import numpy as np

    words, order = _words(hashes)
    against, _ = _words(others)
    ones = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    ones_against = np.bitwise_count(against).sum(axis=1, dtype=np.int64)
    found: set[int] = set()
    for top in range(0, len(words), _ROWS):
        bottom = min(top + _ROWS, len(words))
        # Ascending by their ones, as in near_pairs.
        start = int(np.searchsorted(ones_against, ones[top] - max_bits, side="left"))
        end = int(np.searchsorted(ones_against, ones[bottom - 1] + max_bits, side="right"))
        for left in range(start, end, _COLUMNS):
            rows, _, _ = _near(words[top:bottom], against[left : min(left + _COLUMNS, end)], max_bits)
            found.update(order[rows + top].tolist())
    return found


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


def _words(hashes: Sequence[str]) -> "tuple[np.ndarray, np.ndarray]":
    """(N, 4) uint64, ascending by the number of ones, and which hash each row is."""
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
    words = rows.reshape(-1, 4, 4).transpose(0, 2, 1).copy().view(np.uint64).reshape(-1, 4)
    order = np.argsort(np.bitwise_count(words).sum(axis=1, dtype=np.int64), kind="stable")
    return words[order], order


def _near(a: "np.ndarray", b: "np.ndarray", max_bits: int) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Rows of a, rows of b and the bits between them, where these are at most `max_bits`. a, b: (N, 4) uint64."""
    import numpy as np

    rows, columns = np.nonzero(np.bitwise_count(a[:, None, 0] ^ b[None, :, 0]) <= max_bits)
    bits = np.bitwise_count(a[rows] ^ b[columns]).sum(axis=1, dtype=np.int64)
    near = bits <= max_bits
    return rows[near], columns[near], bits[near]
