"""Mutations of bytes, numbers and text that all kinds share. Each is drawn from the generator that is given."""

import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

EXTREME_NUMBERS = (
    "0", "-1", "1", "65535", "65536", "2147483648", "-2147483649", "18446744073709551616", "1e308", "-1e308", "1e-308",
    "1e999", "nan", "inf", "-inf", "3e9", "6e10", "0.1", "1_000", "0x10", "010", "1,5", "9" * 5000, "", " ", "x",
)  # fmt: skip
EXTREME_TEXTS = (
    "", " ", "\0", "\x1b[31m", "\r\n", "a\nb", "\u202e", "\ud800", "é" * 70, "x" * 100_000, "../../x", "/etc/passwd",
    "a\\b\\c", "^", "=" * 65, "%s%n{0}", "NaN", "\x9b2J", "\ufeff",
)  # fmt: skip
EXTREME_WORDS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFE,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFE,
    0xFFFFFFFF,
)


def text(rng: random.Random) -> str:
    """A number or a text at an extreme."""
    return rng.choice(rng.choice((EXTREME_NUMBERS, EXTREME_TEXTS)))


def encoded(value: str) -> bytes:
    """As bytes, also what is no Unicode."""
    return value.encode("utf-8", "surrogatepass")


def some_bytes(rng: random.Random, data: bytes, first: int = 0, last: int | None = None) -> bytes:
    """One mutation that knows no structure, of the bytes from `first` to `last`."""
    end = len(data) if last is None else min(last, len(data))
    if end <= first:
        return data
    at = rng.randrange(first, end)
    changed = bytearray(data)
    match rng.randrange(8):
        case 0:
            changed[at] ^= 1 << rng.randrange(8)
        case 1:
            changed[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
        case 2:
            return data[:at]
        case 3:
            return data + rng.randbytes(rng.choice((1, 100, 5000)))
        case 4:
            return data[:at] + rng.randbytes(rng.randrange(1, 40)) + data[at:]
        case 5:
            return data[:at] + data[at + rng.randrange(1, 2000) :]
        case 6:
            size = min(rng.randrange(1, 3000), end - at)
            changed[at : at + size] = rng.choice((b"\0", b"\xff", b"\x80")) * size
        case _:
            return word(rng, data, at)
    return bytes(changed)


def word(rng: random.Random, data: bytes, at: int) -> bytes:
    """An extreme number of 1, 2, 4 or 8 bytes in the place of the bytes at `at`."""
    size, form = rng.choice(((1, "B"), (2, "H"), (4, "I"), (8, "Q")))
    value = rng.choice(EXTREME_WORDS) & ((1 << 8 * size) - 1)
    return data[:at] + struct.pack(rng.choice("<>") + form, value) + data[at + size :]


def several(
    rng: random.Random, data: bytes, kinds: Sequence[Callable[[random.Random, bytes], bytes]], most: int = 3
) -> bytes:
    """One to `most` mutations, one after the other; mostly one."""
    for _ in range(min(1 + int(rng.expovariate(1.0)), most)):
        data = rng.choice(kinds)(rng, data)
    return data


def values_of(tree: object) -> list[tuple[Any, Any]]:
    """Every place in plain data: (the mapping or list, key or index)."""
    found: list[tuple[Any, Any]] = []
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            found.append((node, key))
            waiting.append(value)
    return found


def plain_data(rng: random.Random, tree: object) -> None:
    """Change one value of nested mappings and lists in place."""
    node, key = rng.choice(values_of(tree))
    match rng.randrange(8):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[rng.choice(("x", "", "__class__", str(key) + " "))] = node[key]
        case 2:
            node[key] = rng.choice(([], {}, None, True, [node[key]], {"x": node[key]}))
        case 3:
            node[key] = rng.choice((0, -1, 2**31, 2**63, 2**70, 1e308, 0.5, -0.0))
        case 4:
            node[key] = [node[key]] * rng.choice((2, 1000))
        case _:
            node[key] = text(rng)
