"""Shards: slices as safetensors, their rows as Parquet; and the marks of a training set, Parquet with boxes in it."""

import json
import random
import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fuzz.kind import Outcome, refusable
from fuzz.kinds.lists import footer, parquet
from fuzz.mutation import EXTREME_WORDS, plain_data, several, some_bytes


def warm_up() -> None:
    """Import Arrow and NumPy, before the address space is limited."""
    import chestgan_core.slices.marks
    import chestgan_core.slices.shards  # noqa: F401


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """A shard and the marks of its slices, one of the three files mutated."""
    from chestgan_core.slices.training_rows import SCHEMA

    names = ("lung.safetensors", "lung.parquet", "slices.parquet")
    files = {name: (seeds / "shard" / name).read_bytes() for name in names}
    changed = rng.choice(names)
    data = files[changed]
    if changed == "lung.safetensors":
        files[changed] = several(rng, data, (_header, _header, some_bytes))
    elif changed == "slices.parquet" and rng.random() < 0.5:
        files[changed] = _boxes(rng, data)
    elif rng.random() < 0.5:
        files[changed] = parquet(rng, data, SCHEMA if changed == "slices.parquet" else None)
    else:
        files[changed] = several(rng, data, (some_bytes, footer))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """All slices, and two of them; and the boxes of each."""
    from chestgan_core.slices.marks import boxes_of, marks_from_file
    from chestgan_core.slices.shards import read_shard

    outcome = Outcome()
    shard = refusable(outcome, lambda: read_shard(folder / "lung.safetensors"))
    refusable(outcome, lambda: read_shard(folder / "lung.safetensors", [0, 1]))
    if shard is not None and len(shard.rows) != len(shard.slices):
        outcome.problem = f"{len(shard.slices)} slices with {len(shard.rows)} rows"
    marks = refusable(outcome, lambda: marks_from_file(folder / "slices.parquet"))
    if marks is None or shard is None:
        return outcome
    size = shard.slices.shape[1]
    for row in shard.rows:
        boxes = refusable(outcome, partial(boxes_of, marks, row, size))
        if boxes and not all(
            0 <= box.left < box.right <= size and 0 <= box.top < box.bottom <= size for box in boxes
        ):
            outcome.problem = f"a box beyond a slice of {size} pixels"
    return outcome


def _boxes(rng: random.Random, data: bytes) -> bytes:
    """The table with numbers of its boxes changed, missing, or boxes repeated."""
    import pyarrow as pa

    from chestgan_core.local.parquet import read_parquet, write_parquet
    from chestgan_core.slices.training_rows import SCHEMA

    rows = read_parquet(data, "seed", "", schema=SCHEMA).to_pylist()
    for _ in range(rng.randrange(1, 4)):
        row = rng.choice([row for row in rows if row["boxes"]])
        box = rng.choice(row["boxes"])
        number = rng.choice((float("nan"), float("inf"), -1.0, 0.0, 1e-300, 1e308, 1e6, 16.0, 6.5, None))
        match rng.randrange(4):
            case 0:
                row["boxes"].append(rng.choice((None, box and dict(box))))
            case 1:
                row["annotated"] = not row["annotated"]
            case _ if box is not None:
                box[rng.choice(list(box))] = number
            case _:
                row["boxes"] *= rng.choice((2, 2000))
    return write_parquet(pa.Table.from_pylist(rows, schema=SCHEMA))


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
