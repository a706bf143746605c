"""Perceptual hashes: what stays near, what does not, and that no pair is missed."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chestgan_core.errors import BadInput
from chestgan_core.imaging import near_hashes
from chestgan_core.imaging.perceptual_hash import NEAR, distance, groups, near_pairs, near_to, perceptual_hash

HASHES = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")


def scene(seed: int, size: int = 240) -> np.ndarray:
    """A picture with structure at all scales, as a slice has it."""
    draw = np.random.default_rng(seed)
    layers = (
        Image.fromarray(draw.random((cells, cells)).astype(np.float32)).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        for cells in (3, 6, 12)
    )
    total = sum(np.asarray(layer) for layer in layers)
    return np.clip((total - 0.6) * 110, 0, 255).astype(np.uint8)


def as_jpeg(picture: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=75)
    return np.asarray(Image.open(buffer))


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def with_a_line(picture: np.ndarray) -> np.ndarray:
    drawn = picture.copy()
    drawn[20:90, 200:202] = 255
    return drawn


@pytest.mark.parametrize(
    "change",
    [
        as_jpeg,
        with_a_line,
        lambda picture: resized(picture, 120, 120),
        lambda picture: resized(picture, 240, 180),
        lambda picture: (picture * 0.7).astype(np.uint8),
    ],
    ids=["compressed", "with a line drawn on it", "at half the size", "squashed", "darker"],
)
def test_a_changed_copy_stays_within_the_threshold(change):
    for seed in range(5):
        picture = scene(seed)
        assert distance(perceptual_hash(picture), perceptual_hash(change(picture))) <= NEAR


def test_different_pictures_lie_far_beyond_the_threshold():
    hashes = [perceptual_hash(scene(seed)) for seed in range(30)]
    assert near_pairs(hashes, 4 * NEAR) == []


def test_an_even_picture_and_its_noise_after_compression_have_the_same_hash():
    noise = np.random.default_rng(0).integers(0, 3, (100, 100)).astype(np.uint8)
    lit = np.zeros((100, 100), np.uint8)
    lit[:, 50:] = 200
    assert perceptual_hash(np.zeros((7, 9), np.uint8)) == "0" * 64
    assert distance(perceptual_hash(lit), perceptual_hash(lit + noise)) == 0


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4)), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_what_is_not_a_grey_image_gets_no_hash(image):
    with pytest.raises(ValueError, match="grey"):
        perceptual_hash(image)


@given(st.lists(HASHES, max_size=12), st.integers(0, 256))
def test_exactly_the_pairs_within_the_limit_are_found(hashes, most):
    wanted = [
        (i, j, distance(hashes[i], hashes[j]))
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if distance(hashes[i], hashes[j]) <= most
    ]
    assert near_pairs(hashes, most) == wanted


@given(st.lists(HASHES, max_size=8), st.lists(HASHES, max_size=8), st.integers(0, 256))
def test_exactly_those_near_one_of_the_others_are_found(hashes, others, most):
    wanted = {i for i, one in enumerate(hashes) if any(distance(one, other) <= most for other in others)}
    assert near_to(hashes, others, most) == wanted


def scattered(draw: np.random.Generator, kind: str, count: int) -> list[str]:
    """Hashes as they come, and as they make it hard to divide them."""
    bits = draw.integers(0, 2, (count, 256), dtype=np.uint8)
    if kind == "skewed":
        bits = (draw.random((count, 256)) < draw.random(256) ** 8).astype(np.uint8)
    if kind == "of few images":
        bits = bits[draw.integers(0, 12, count)] ^ (draw.random((count, 256)) < 0.015)
    if kind == "copies":
        bits = bits[draw.integers(0, 30, count)]
    if kind == "in one ball":  # some pairs 10 apart, most more: no band tells them from each other
        bits[:] = 0
        for row in bits:
            row[draw.choice(256, 6, replace=False)] = 1
    if kind == "blank, and others":
        bits[: count // 2] = draw.random((count // 2, 256)) < 0.005
    if kind == "in one word":
        bits[:, 60:] = 0
    return [np.packbits(row).tobytes().hex() for row in bits]


KINDS = ("random", "skewed", "of few images", "copies", "in one ball", "blank, and others", "in one word")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    most=st.sampled_from([0, 1, 4, NEAR, NEAR, 15, 30]),
    few=st.sampled_from([8, 40, 1024]),
)
def test_dividing_finds_what_comparing_all_finds(kind, seed, most, few):
    draw = np.random.default_rng(seed)
    hashes = scattered(draw, kind, 250)
    words = np.array([np.frombuffer(bytes.fromhex(one), np.uint8) for one in hashes])
    apart = np.bitwise_count(words[:, None] ^ words).sum(axis=2)
    first, second = np.nonzero(np.triu(apart <= most, 1))
    wanted = list(zip(first.tolist(), second.tolist(), apart[first, second].tolist(), strict=True))
    kept = near_hashes._FEW
    near_hashes._FEW = few  # so many are compared without being divided
    try:
        assert near_pairs(hashes, most) == wanted
        near = np.flatnonzero((apart[:100, 100:] <= most).any(axis=1))
        assert near_to(hashes[:100], hashes[100:], most) == set(near.tolist())
    finally:
        near_hashes._FEW = kept


def test_pairs_across_the_blocks_of_a_long_list_are_found():
    draw = np.random.default_rng(1)
    bits = draw.integers(0, 2, (5000, 256), dtype=np.uint8)
    planted = {}
    for first, flipped in zip(range(0, 2000, 100), range(20), strict=True):
        second = 4999 - first
        bits[second] = bits[first]
        bits[second, draw.choice(256, flipped, replace=False)] ^= 1
        planted[first, second] = flipped
    hashes = [np.packbits(row).tobytes().hex() for row in bits]
    near = {pair: flipped for pair, flipped in planted.items() if flipped <= NEAR}
    assert {(i, j): bits for i, j, bits in near_pairs(hashes, NEAR)} == near


@pytest.mark.parametrize("broken", ["", "0" * 63, "g" * 64])
def test_what_is_not_a_hash_is_refused(broken):
    with pytest.raises(BadInput, match="64 hex digits"):
        near_pairs(["0" * 64, broken], 3)


def test_groups_are_what_pairs_connect_and_alone_is_a_group_too():
    assert groups(6, [(4, 2), (0, 5), (2, 5)]) == [[0, 2, 4, 5], [1], [3]]
