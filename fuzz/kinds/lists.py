"""Lists of series: indexes of the Imaging Data Commons as CSV and Parquet, metadata.csv of NBIA."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.kind import LEFT_OUT, REFUSED, Outcome, command
from fuzz.mutation import encoded, several, some_bytes, text, word


def warm_up() -> None:
    """Import Arrow, before the address space is limited."""
    import chestgan_core.local.parquet
    import chestgan_core.sources.idc.index  # noqa: F401


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """A list with cells, lines or bytes changed; a Parquet file whole or changed in its values."""
    source = rng.choice(sorted((seeds / "lists").iterdir()))
    data = source.read_bytes()
    if source.suffix == ".parquet":
        data = parquet(rng, data) if rng.random() < 0.5 else several(rng, data, (some_bytes, footer))
    else:
        data = several(rng, data, (_cell, _cell, _lines, some_bytes))
    (folder / source.name).write_bytes(data)
    return {"name": source.name}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """`chestgan catalog PATH`: every series is selected or left out."""
    outcome = Outcome()
    answer = command(outcome, "catalog", str(folder / facts["name"]))
    if answer is None:
        outcome.worse(REFUSED)
        return outcome
    if answer.get("left_out_series"):
        outcome.worse(LEFT_OUT)
    return outcome


def parquet(rng: random.Random, data: bytes, schema: Any = None) -> bytes:
    """The table with a column of another type, with extreme values, missing, twice, or with its rows repeated. schema:
    of a table whose columns are more than numbers and texts.
    """
    import pyarrow as pa

    from chestgan_core.local.parquet import read_parquet, write_parquet

    table = read_parquet(data, "seed", "", schema=schema)
    at = rng.randrange(table.num_columns)
    rows = table.num_rows
    columns: tuple[pa.Array[Any], ...] = (
        pa.array([rng.choice((0, -1, 2**31 - 1, -(2**63))) for _ in range(rows)]),
        pa.array([rng.choice((float("nan"), float("inf"), -1.0, 1e308)) for _ in range(rows)]),
        pa.array([text(rng).replace("\ud800", "?")[:2000] for _ in range(rows)]),
        pa.array([None] * rows, pa.string()),
        pa.array([[1, 2]] * rows),
        pa.array([b"\xff\xfe"] * rows),
        pa.array([{"x": 1}] * rows),
        pa.array(["x"] * rows).dictionary_encode(),
    )
    match rng.randrange(7):
        case 0:
            table = table.remove_column(at)
        case 1:
            table = pa.concat_tables([table] * rng.choice((2, 50)))
        case 2:
            table = table.slice(0, rng.choice((0, 1)))
        case 3:
            table = table.append_column(table.column_names[at], table.column(at))
        case _:
            table = table.set_column(at, table.column_names[at], rng.choice(columns))
    return write_parquet(table)


def footer(rng: random.Random, data: bytes) -> bytes:
    """Damage of the metadata at the end of a Parquet file, where all sizes are stated."""
    length = int.from_bytes(data[-8:-4], "little")
    if rng.random() < 0.2 or length >= len(data):
        return word(rng, data, max(len(data) - 8, 0))
    first = max(len(data) - 8 - length, 0)
    return some_bytes(rng, data, first, len(data) - 8)


def _cell(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    cells = lines[at].split(b",")
    cells[rng.randrange(len(cells))] = encoded(rng.choice((text(rng), f'"{text(rng)}"')))
    lines[at] = b",".join(cells)
    return b"\n".join(lines)


def _lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            return b"\n".join([*lines, lines[at], b""])
        case 1:
            return data.replace(b"\r\n", b"\n").replace(b"\n", rng.choice((b"\r", b"\r\n", b"\n\n", b"\n\r")))
        case 2:
            return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-8-sig", "utf-32")))
        case 3:
            return data.replace(b",", rng.choice((b";", b"\t", b"|", b", ")))
        case 4:
            return data + b'"' * rng.choice((1, 100)) + b"x" * rng.choice((10, 3_000_000))
        case _:
            del lines[at]
            return b"\n".join(lines)
