"""Pictures in class folders. Every file has a status."""

import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.kind import LEFT_OUT, REFUSED, Outcome, command
from fuzz.mutation import several, some_bytes, word

_DATASET = "chest_xray_pneumonia"


def warm_up() -> None:
    """Import Pillow, before the address space is limited."""
    import chestgan_core.sources.images.collection
    import chestgan_core.sources.images.decoding  # noqa: F401


def make(rng: random.Random, seeds: Path, folder: Path) -> dict[str, Any]:
    """Two good pictures and three mutated ones."""
    files = 0
    sources = sorted((seeds / "pictures").iterdir())
    for split, name in (("train", "NORMAL"), ("test", "PNEUMONIA")):
        target = folder / "in" / split / name
        target.mkdir(parents=True)
        source = rng.choice(sources)
        shutil.copyfile(source, target / f"good{source.suffix}")
        files += 1
        for number in range(2):
            source = rng.choice(sources)
            data = several(rng, source.read_bytes(), (some_bytes, _head, _head))
            (target / f"{number}{source.suffix}").write_bytes(data)
            files += 1
    return {"files": files}


def read(folder: Path, facts: Mapping[str, Any]) -> Outcome:
    """`chestgan catalog FOLDER --dataset ...`."""
    outcome = Outcome()
    answer = command(outcome, "catalog", str(folder / "in"), "--dataset", _DATASET)
    if answer is None:
        outcome.worse(REFUSED)
        return outcome
    accounted = answer["selected"] + sum(answer["left_out"].values())
    if not facts["files"] == answer["files"] == accounted:
        outcome.problem = f"{facts['files']} files, {answer['files']} listed, {accounted} accounted for"
    if answer["left_out"]:
        outcome.worse(LEFT_OUT)
    return outcome


def _head(rng: random.Random, data: bytes) -> bytes:
    """A number among the first bytes, where formats state sizes."""
    return word(rng, data, rng.randrange(min(len(data), 120) or 1)) if data else data
