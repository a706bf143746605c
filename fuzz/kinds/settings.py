"""YAML of experiments, datasets and search spaces. A refusal names the file."""

import random
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from fuzz.kind import REFUSED, Outcome, command
from fuzz.mutation import encoded, several, some_bytes, text

_SURPRISES = (
    "yes", "on", "No", "010", "1_000", "1:30", "2024-01-01", ".inf", ".nan", "0o17", "~", "!!python/name:os.system x",
    "&a [*a]", "*b", "!!binary aGk=", "<<", "|\n  x", "'", '"', "{", "[", "{a: {b: {c: 1}}}", "- - - -", "? x", "null",
    "1e-4", "0x1F", "1e400", "!!set {a}", "@x", "`x`", "%x",
)  # fmt: skip


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """A shipped file with some lines changed."""
    kind = rng.choice(("experiments", "datasets", "spaces"))
    data = rng.choice(sorted((seeds / "yaml" / kind).iterdir())).read_bytes()
    (folder / "mutated.yaml").write_bytes(
        several(rng, data, (_line, _line, _line, _whole, some_bytes), most=5)
    )
    return {"kind": kind}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """The reader of its kind."""
    from chestgan_core.config.dataset import load_dataset
    from chestgan_core.errors import ChestganError
    from chestgan_core.tuning.space import load_space

    outcome, path = Outcome(), folder / "mutated.yaml"
    if facts["kind"] == "experiments":
        if command(outcome, "experiments", "validate", str(path)) is None:
            outcome.worse(REFUSED)
        return outcome
    try:
        load_dataset(path) if facts["kind"] == "datasets" else load_space(str(path))
    except ChestganError as error:
        named = path.name in str(error) and "\n" not in str(error)
        outcome.worse(REFUSED, "" if named else "the error does not name the file in one line")
    return outcome


def _line(rng: random.Random, data: bytes) -> bytes:
    """A line with another value, twice, missing or elsewhere."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    name, colon, old = lines[at].partition(b":")
    match rng.randrange(6):
        case 0:
            lines.insert(at, lines[at])
        case 1:
            del lines[at]
        case 2:
            lines[at] = b" " * rng.randrange(9) + lines[at].lstrip()
        case 3:
            lines[at] = encoded(text(rng)[:5000]) + colon + old
        case _:
            new = rng.choice((rng.choice(_SURPRISES), rng.choice(_SURPRISES), text(rng)))
            lines[at] = name + b": " + encoded(new)
    return b"\n".join(lines)


def _whole(rng: random.Random, data: bytes) -> bytes:
    """Aliases, depth, documents, encodings."""
    match rng.randrange(5):
        case 0:
            names = "abcdefgh"
            lines = [f"{one}: &{one} [{', '.join([f'*{before}'] * 10)}]" for before, one in pairwise(names)]
            return ("a: &a [x]\n" + "\n".join(lines) + "\n").encode() + data
        case 1:
            return data + b"\nx: " + rng.choice((b"[", b"{a: ", b"- ", b"? ")) * rng.choice((30, 50_000))
        case 2:
            return data + b"\n---\n" + data
        case 3:
            return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-8-sig", "utf-32")))
        case _:
            return data + b"\n" + b"x" * rng.choice((100, 2_000_000)) + b": 1\n"
