"""Shards: slices as safetensors, their rows as Parquet."""

import json
import random
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.kind import Outcome, refusable
from fuzz.kinds.lists import footer, parquet
from fuzz.mutation import EXTREME_WORDS, plain_data, several, some_bytes


def warm_up() -> None:
    """Import Arrow and NumPy, before the address space is limited."""
    import chestgan_core.slices.shards  # noqa: F401


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """A shard with one of its two files mutated."""
    tensors = (seeds / "shard" / "lung.safetensors").read_bytes()
    rows = (seeds / "shard" / "lung.parquet").read_bytes()
    if rng.random() < 0.5:
        tensors = several(rng, tensors, (_header, _header, some_bytes))
    else:
        rows = parquet(rng, rows) if rng.random() < 0.5 else several(rng, rows, (some_bytes, footer))
    (folder / "lung.safetensors").write_bytes(tensors)
    (folder / "lung.parquet").write_bytes(rows)
    return {}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """All slices, and two of them."""
    from chestgan_core.slices.shards import read_shard

    outcome = Outcome()
    shard = refusable(outcome, lambda: read_shard(folder / "lung.safetensors"))
    refusable(outcome, lambda: read_shard(folder / "lung.safetensors", [0, 1]))
    if shard is not None and len(shard.rows) != len(shard.slices):
        outcome.problem = f"{len(shard.slices)} slices with {len(shard.rows)} rows"
    return outcome


def _header(rng: random.Random, data: bytes) -> bytes:
    """The JSON at the beginning of a safetensors file, or its stated length."""
    (length,) = struct.unpack_from("<Q", data.ljust(8, b"\0"))
    if rng.random() < 0.2 or length > len(data):
        return struct.pack("<Q", rng.choice((*EXTREME_WORDS, length + 1, 2**63))) + data[8:]
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError:
        return some_bytes(rng, data)
    if not isinstance(header, dict) or not header:
        return some_bytes(rng, data)
    plain_data(rng, header)
    new = json.dumps(header).encode()
    return struct.pack("<Q", len(new)) + new + data[8 + length :]
