"""Which of many hashes are near each other, without comparing each with each.

In: hashes as words, (N, 4) uint64. Out: every pair within a number of bits, once, in blocks. Two hashes that differ in
at most d bits agree in at least k of d + k bands of bits that share none (pigeonhole; Manku, Jain and Das Sarma 2007):
hashes are sorted by each choice of k bands in turn, and only those that agree in these are compared. The k that costs
least is found by trying. Bits are dealt to the bands by how undecided they are among these very hashes, so that no band
is made of the black border of images alone. Where many hashes agree all the same, they are divided again by other bits;
where that divides nothing (hashes in one small ball), all of them are compared. So the answer is always that of
comparing all, and the time hardly ever longer.

Memory: some 200 bytes for each hash.
"""

import itertools
import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

WORDS = 4
BITS = 64 * WORDS
# Rows that are compared with each other at once: two comparisons of the first word cost less than a division.
_FEW = 1024
_MAX_BAND = 32  # bits
# Below this, so many hashes agree in a band that dividing by it is no gain.
_MIN_BAND = 6
# In how many bands rows may have to agree. In four of 14 there would be 1001 ways to agree.
_MOST_AGREEING = 3
# Nanoseconds, measured, of which only the ratio matters: to divide a row once, to compare a pair that agrees, and one
# of all pairs.
_ROW, _AGREEING, _PAIR = 90.0, 25.0, 2.0
# How many of the ways to agree tell how many rows agree.
_TRIED = 8
# Groups have a key of 55 bits, and below it the number of ones of a row.
_ONES = np.uint64(2**9 - 1)
_ODD = np.uint64(0x9E3779B97F4A7C15)
# What the entropy of bits is estimated from.
_SAMPLE = 2**14
_CHUNK = 2**15
# A block of this many pairs stays in the cache of a core: 2 MiB of words.
_ROWS, _COLUMNS = 128, 2048

Block: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Rows, other rows, and the bits between them, (n,) int64 each."""


def near_rows(words: np.ndarray, max_bits: int, side: np.ndarray | None = None) -> Iterator[Block]:
    """Every two rows that differ in at most `max_bits` bits, once, in any order.

    Args:
        words: (N, 4) uint64.
        max_bits: 0 to 256.
        side: (N,) bool; then only pairs of one row with True and one with False.

    Yields:
        Blocks of such pairs.
    """
    ones = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    yield from _near(words, ones, max_bits, side)


def _near(words: np.ndarray, ones: np.ndarray, max_bits: int, side: np.ndarray | None) -> Iterator[Block]:
    if side is not None and (side.all() or not side.any()):
        return
    agreeing = _cheapest(words, ones, max_bits) if len(words) > _FEW else 0
    if not agreeing:
        yield from _all_pairs(words, ones, max_bits, side)
        return
    bands = _bands(words, max_bits + agreeing)
    for chosen in itertools.combinations(range(max_bits + agreeing), agreeing):
        order, starts, sizes = _divide(bands, chosen, ones)
        large = sizes > _FEW
        for start, size in zip(starts[large], sizes[large], strict=True):
            part = order[start : start + size]
            of_part = None if side is None else side[part]
            # Most of the rows in one group again: no other band would divide them either.
            search = _near if 2 * size < len(words) else _all_pairs
            for rows, others, bits in search(words[part], ones[part], max_bits, of_part):
                yield from _first_found(part[rows], part[others], bits, bands, chosen)
        for rows, others, bits in _within(words, ones, max_bits, side, order, starts[~large], sizes[~large]):
            yield from _first_found(rows, others, bits, bands, chosen)


def _cheapest(words: np.ndarray, ones: np.ndarray, max_bits: int) -> int:
    """In how many bands two rows should have to agree, so that dividing and comparing cost least; 0: compare all.

    With more bands than max_bits + 1, near rows agree in several: there are more ways to choose these, and far fewer
    rows that agree in all of them.
    """
    cheapest, least = 0, _PAIR * len(words) ** 2 / 2
    for agreeing in range(1, _MOST_AGREEING + 1):
        count = max_bits + agreeing
        ways = math.comb(count, agreeing)
        if BITS // count < _MIN_BAND or ways * _ROW * len(words) > least:
            break
        bands = _bands(words, count)
        tried = list(
            itertools.islice(itertools.combinations(range(count), agreeing), 0, None, -(-ways // _TRIED))
        )
        together = 0.0
        for chosen in tried:
            _, _, sizes = _divide(bands, chosen, ones)
            together += float((sizes.astype(np.float64) ** 2).sum()) / 2
        cost = ways * (_ROW * len(words) + _AGREEING * together / len(tried))
        if cost < least:
            cheapest, least = agreeing, cost
    return cheapest


def _bands(words: np.ndarray, count: int) -> np.ndarray:
    """(N, count) uint32: the bits of each band."""
    width = min(_MAX_BAND, BITS // count)
    octets = words.view(np.uint8).reshape(len(words), BITS // 8)
    sample = np.unpackbits(octets[:: -(-len(words) // _SAMPLE)], axis=1).mean(axis=0)
    # The most undecided first, dealt to and fro, so that the bands are equally undecided. Bits beside each other in an
    # image are about equally undecided too, so they come into different bands.
    undecided = np.argsort(np.abs(sample - 0.5), kind="stable")[: width * count].reshape(width, count)
    undecided[1::2] = undecided[1::2, ::-1].copy()
    # The rest of the 32 bits of a band is taken from a column of zeros behind all bits.
    place = np.full((count, _MAX_BAND), BITS, np.int64)
    place[:, :width] = undecided.T
    bands = np.empty((len(words), count), np.uint32)
    for start in range(0, len(words), _CHUNK):
        bits = np.unpackbits(octets[start : start + _CHUNK], axis=1)
        padded = np.pad(bits, ((0, 0), (0, 1)))
        packed = np.packbits(np.take(padded, place.ravel(), axis=1), axis=1)
        bands[start : start + _CHUNK] = packed.view(np.uint32).reshape(len(bits), count)
    return bands


def _divide(
    bands: np.ndarray, chosen: tuple[int, ...], ones: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows by some of their bands and then by their ones; where each group of two or more that agree in these bands
    begins, and its size. Rows that do not agree are together once in many millions.
    """
    key = np.zeros(len(bands), np.uint64)
    for band in chosen:
        key = (key + bands[:, band]) * _ODD
    key = (key & ~_ONES) | ones.astype(np.uint64)
    order = np.argsort(key)
    ordered = key[order] & ~_ONES
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(starts, append=len(order))
    several = sizes > 1
    return order, starts[several], sizes[several]


def _within(
    words: np.ndarray,
    ones: np.ndarray,
    max_bits: int,
    side: np.ndarray | None,
    order: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
) -> Iterator[Block]:
    """The near pairs in each of many small groups of rows: each row with the next, with the one after it, ..."""
    if not len(starts):
        return
    # The rows of these groups, one group after the other, and how many of its group follow each.
    offset = np.cumsum(sizes) - sizes
    at = np.arange(sizes.sum()) - np.repeat(offset - starts, sizes)
    rows = order[at]
    follow = np.repeat(offset + sizes, sizes) - np.arange(len(at))
    of_rows, of_ones = np.ascontiguousarray(words[rows].T), ones[rows]
    side = side if side is None else side[rows]
    alive = np.arange(len(rows))
    for step in range(1, int(sizes.max())):
        # In a group the ones ascend: with too many more of them, all that follow are too far as well.
        alive = alive[follow[alive] > step]
        alive = alive[of_ones[alive + step] - of_ones[alive] <= max_bits]
        if not len(alive):
            return
        near = alive if side is None else alive[side[alive] != side[alive + step]]
        bits = np.zeros(len(near), np.int64)
        for word in of_rows:
            bits += np.bitwise_count(word[near] ^ word[near + step])
            close = bits <= max_bits
            near, bits = near[close], bits[close]
        if len(near):
            yield rows[near], rows[near + step], bits


def _all_pairs(
    words: np.ndarray, ones: np.ndarray, max_bits: int, side: np.ndarray | None
) -> Iterator[Block]:
    """Every pair compared, in blocks. Two hashes differ in at least as many bits as their numbers of ones do: in the
    order of that number, the partners of a hash follow it, and end where it has grown by more than max_bits.
    """
    if side is None:
        order = others = np.argsort(ones, kind="stable")
    else:
        order, others = (
            chosen[np.argsort(ones[chosen], kind="stable")] for chosen in map(np.flatnonzero, (side, ~side))
        )
    left, right = words[order], words[others]
    ones_left, ones_right = ones[order], ones[others]
    for top in range(0, len(order), _ROWS):
        bottom = min(top + _ROWS, len(order))
        begin = top if side is None else int(np.searchsorted(ones_right, ones_left[top] - max_bits, "left"))
        end = int(np.searchsorted(ones_right, ones_left[bottom - 1] + max_bits, "right"))
        for start in range(begin, end, _COLUMNS):
            block = right[start : min(start + _COLUMNS, end)]
            near = np.bitwise_count(left[top:bottom, None, 0] ^ block[None, :, 0]) <= max_bits
            rows, columns = np.nonzero(near)
            rows, columns = rows + top, columns + start
            if side is None:
                later = columns > rows
                rows, columns = rows[later], columns[later]
            bits = np.bitwise_count(left[rows] ^ right[columns]).sum(axis=1, dtype=np.int64)
            near = bits <= max_bits
            if near.any():
                yield order[rows[near]], others[columns[near]], bits[near]


def _first_found(
    rows: np.ndarray, others: np.ndarray, bits: np.ndarray, bands: np.ndarray, chosen: tuple[int, ...]
) -> Iterator[Block]:
    """Those that agree in the chosen bands and in none before the last of them: the others are found elsewhere."""
    agree = bands[rows, : chosen[-1] + 1] == bands[others, : chosen[-1] + 1]
    new = agree[:, chosen].all(axis=1) & (agree.sum(axis=1) == len(chosen))
    if new.any():
        yield rows[new], others[new], bits[new]
