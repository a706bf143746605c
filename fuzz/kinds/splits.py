"""The split of a set, and how the real side of its numbers was made: CSV and JSON of somebody else."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.kind import Outcome, refusable
from fuzz.mutation import encoded, plain_data, several, some_bytes, text

_NUMBERS = (b"0-99999999", b"9-1", b"0 0", b"0-1 1-2", b"7-", b"-7", b"1" * 40, b"0-99999 100000-199999")


def warm_up() -> None:
    """Import what reads both, before the address space is limited."""


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """A split of a few series with cells or bytes changed, and instructions with values changed."""
    from chestgan_core.publishing.split.table import split_csv

    rows = [_row(side, number) for side in ("train", "held-out") for number in range(rng.choice((1, 3)))]
    data = several(rng, split_csv(rows), (_cell, _cell, some_bytes))
    (folder / "split.csv").write_bytes(data)
    instructions = _instructions()
    for _ in range(rng.choice((0, 1, 1, 2))):
        plain_data(rng, instructions)
    (folder / "instructions.json").write_text(json.dumps(instructions))
    return {}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """Both, as `sets reproduce` reads them. What is accepted is written and read back as it is."""
    from chestgan_core.local.json_text import parse_json
    from chestgan_core.publishing.split.counts import split_counts
    from chestgan_core.publishing.split.table import read_split, split_csv, unfolded
    from chestgan_core.publishing.writing.instructions import read_instructions

    outcome = Outcome()
    rows = refusable(outcome, lambda: read_split(folder / "split.csv"))
    if rows is not None:
        (folder / "again.csv").write_bytes(split_csv(rows))
        if read_split(folder / "again.csv") != rows:
            outcome.worse(outcome.result, "a split changes when it is written again")
        if sum(len(unfolded(row.numbers)) for row in rows) != sum(
            count.slices for count in split_counts(rows).sides.values()
        ):
            outcome.worse(outcome.result, "counts do not add up")

    def instructions() -> None:
        where = folder / "instructions.json"
        found = read_instructions(
            parse_json(where.read_bytes(), str(where), "fetch the set again"), str(where)
        )
        _ = found.series_rules
        if found.hounsfield:
            _ = found.normalization
        else:
            found.require_picture_recipe()

    refusable(outcome, instructions)
    return outcome


def _row(side: str, number: int) -> Any:
    from chestgan_core.publishing.split.row import SplitRow, lines_sha256

    digest = lines_sha256(["1.2.3"])
    patient, series = f"{side}-{number}", f"1.2.{number}"
    return SplitRow(
        side, patient, series, "", "A", "B70f", "Siemens", 1.25, 3, "0-1 7", digest, digest, 120, 60_000_000,
        "CC BY 4.0", "10.7937/x", "Somebody. A Collection.", "idc", f"s3://bucket/{number}/", f"{number}",
    )  # fmt: skip


def _instructions() -> dict[str, Any]:
    from chestgan_core.slices.recipe import NormalizationRecipe

    recipe = NormalizationRecipe()
    return {
        "format": 1,
        "dataset": "x",
        "image_kind": "real",
        "private": False,
        "hounsfield": True,
        "source": "idc",
        "training_set": "0" * 16,
        "evaluation": "9",
        "recipe": {"version": recipe.version, "size": recipe.size, "trim": 0.0, "min_lung_fraction": 0.035},
        "selection": {"min_images": 2, "include_description": ["chest"]},
        "phantoms": {"version": "1", "patients": 6, "slices": 40},
    }


def _cell(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    cells = lines[at].split(b",")
    value = rng.choice(_NUMBERS) if rng.random() < 0.3 else encoded(text(rng))
    cells[rng.randrange(len(cells))] = value
    lines[at] = b",".join(cells)
    return b"\n".join(lines)
