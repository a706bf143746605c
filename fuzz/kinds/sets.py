"""Published sets: manifest, tars, PNG files, labels. Many are sealed again, so that damage passes the hashes."""

import hashlib
import json
import random
import shutil
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.kind import REFUSED, Outcome, command, refusable
from fuzz.kinds.archive import tar_field
from fuzz.kinds.lists import footer, parquet
from fuzz.mutation import plain_data, several, some_bytes, word


def warm_up() -> None:
    """Import what reads sets, before the address space is limited: PyTorch alone takes a part of it."""
    import chestgan_core.publishing.reader.torch_dataset
    import chestgan_core.publishing.transfer.verifying  # noqa: F401


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """A set with one file mutated, and perhaps its size and sha256 in the manifest made to fit."""
    target = folder / "set"
    shutil.copytree(seeds / "set", target)
    names = sorted(path.name for path in target.iterdir())
    name = rng.choice(
        [*names, "manifest.json", "labels.parquet", *(one for one in names if one.endswith(".tar"))]
    )
    path = target / name
    data = path.read_bytes()
    if name == "manifest.json":
        manifest = json.loads(data)
        for _ in range(rng.choice((1, 1, 2))):
            plain_data(rng, manifest)
        data = json.dumps(manifest).encode() if rng.random() < 0.85 else some_bytes(rng, data)
    elif name.endswith(".parquet"):
        data = parquet(rng, data) if rng.random() < 0.6 else several(rng, data, (some_bytes, footer))
    else:
        data = several(
            rng, data, (_png, _png, tar_field, some_bytes) if name.endswith(".tar") else (some_bytes,)
        )
    path.write_bytes(data)
    if name != "manifest.json" and rng.random() < 0.7:
        _seal(target, name, data)
    return {}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """`sets verify`, every image and label by `open_set`, and all of them as a stream."""
    from chestgan_core.publishing import open_set, stream_set

    outcome = Outcome()
    answer = command(outcome, "sets", "verify", str(folder / "set"))
    if answer is None or answer.get("exit_status"):
        outcome.worse(REFUSED)

    def everything() -> None:
        images = open_set(folder / "set")
        for number in range(min(len(images), 8)):
            images.label(number)
            images.grey(number)

    refusable(outcome, everything)
    refusable(outcome, lambda: sum(1 for _ in stream_set(folder / "set")))
    return outcome


def _seal(folder: Path, name: str, data: bytes) -> None:
    """Write size and sha256 of a file into the manifest, wherever an object has its name."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    for one in manifest.get("objects", []):
        if str(one.get("key", "")).rpartition("/")[2] == name:
            one["sha256"], one["bytes"] = hashlib.sha256(data).hexdigest(), len(data)
    path.write_text(json.dumps(manifest))


def _png(rng: random.Random, data: bytes) -> bytes:
    """A chunk of a PNG in a tar, with the checksum that fits."""
    marks = [
        at for name in (b"IHDR", b"IDAT", b"IEND") for at in range(len(data)) if data.startswith(name, at)
    ]
    if not marks:
        return some_bytes(rng, data)
    at = rng.choice(marks)
    (length,) = struct.unpack_from(">I", data, at - 4)
    length = min(length, len(data) - at - 8)
    if length <= 0 or rng.random() < 0.2:
        return word(rng, data, at - 4)
    chunk = bytearray(data[at : at + 4 + length])
    place = 4 + rng.randrange(length)
    if chunk[:4] == b"IDAT" and rng.random() < 0.3:
        packed = zlib.compress(bytes(20_000_000), 9)[:length]
        chunk[4 : 4 + len(packed)] = packed
    else:
        chunk[place] = rng.choice((0, 1, 2, 16, 127, 255))
    return data[:at] + bytes(chunk) + struct.pack(">I", zlib.crc32(chunk)) + data[at + 8 + length :]
