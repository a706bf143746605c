"""Images that show nothing: of one value, all the same, or noise. A distance to them means nothing.

In: images as arrays. Out: what they are, in words, or "". Generators give such images when they collapse or have hardly
been trained, and so does a wrong file.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

GREY_LEVEL = 2 / 255
"""One grey level of images in [-1, 1]."""
MIN_VARYING = 0.5  # of the images, those that must have more than one value
MAX_NOISE_CORRELATION, MIN_IMAGE_CORRELATION = 0.2, 0.5
_PART = 2**22  # pixels that are looked at together: a copy of all of them may not fit into memory


class Parts(Protocol):
    """Images of which some can be taken: an array, or what reads them from a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, some: slice, /) -> Any: ...


def degenerate(images: Parts, level: float = GREY_LEVEL) -> str:
    """What images are that show nothing.

    Args:
        images: (N, H, W) or (N, 1, H, W); arrays, or tensors on the CPU.
        level: Smaller differences count as none.

    Returns:
        The end of a sentence, or "" for images that differ, within themselves and from each other.

    Examples:
        >>> degenerate(np.zeros((3, 8, 8)))
        'are of one value (3 of 3)'
        >>> degenerate(np.tile(np.linspace(-1, 1, 8), (3, 8, 1)))
        'are all the same'
        >>> degenerate(np.random.default_rng(0).standard_normal((3, 8, 8)))
        ''
    """
    count = len(images)
    if not count:
        return ""
    constant, apart, first = 0, 0.0, np.asarray(images[0:1]).reshape(1, -1)
    together = max(_PART // max(first.size, 1), 1)
    for start in range(0, count, together):
        part = np.asarray(images[start : start + together])
        flat = part.reshape(len(part), -1)
        constant += int((np.ptp(flat, axis=1) < level).sum())
        if apart < level:
            apart = float(np.abs(flat - first).max())
    if constant > (1 - MIN_VARYING) * count:
        return f"are of one value ({constant} of {count})"
    return "are all the same" if count > 1 and apart < level else ""


def is_noise(images: NDArray[np.floating], like: NDArray[np.floating]) -> bool:
    """Whether neighbouring pixels are unrelated in `images`, and related in `like`; both (N, H, W) or (N, 1, H, W)."""
    return (
        neighbour_correlation(images) < MAX_NOISE_CORRELATION
        and neighbour_correlation(like) > MIN_IMAGE_CORRELATION
    )


def neighbour_correlation(images: NDArray[np.floating]) -> float:
    """Correlation of pixels with their right neighbours, median over the images that have more than one value.

    About 0 for noise, above 0.9 for CT of 64 x 64 pixels; NaN without such images. images: (N, H, W) or (N, 1, H, W).
    """
    rows = images.reshape(len(images), *images.shape[-2:]).astype(np.float64)
    left = rows[:, :, :-1].reshape(len(rows), -1)
    right = rows[:, :, 1:].reshape(len(rows), -1)
    left, right = left - left.mean(axis=1, keepdims=True), right - right.mean(axis=1, keepdims=True)
    scale = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    known = scale > 0
    if not known.any():
        return float("nan")
    return float(np.median((left * right).sum(axis=1)[known] / scale[known]))
