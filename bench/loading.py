"""Loading the code location against `import dagster` alone, in CPU seconds of fresh interpreters: with the shipped
experiments, and with 200 more of one's own.

As an installed program starts: with compiled modules, in a home that has loaded before.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.ratio import Ratio

ROUNDS = 7
OWN = 200  # experiments
TARGET = 1.2


def measure() -> list[Ratio]:
    """The median of alternating starts."""
    with tempfile.TemporaryDirectory() as folder:
        shipped = _environment(Path(folder) / "shipped")
        many = _environment(Path(folder) / "many")
        many["CHESTGAN_EXPERIMENTS"] = str(_experiments(Path(folder) / "experiments"))
        starts = [
            ("import dagster", shipped),
            ("import chestgan_assets.definitions", shipped),
            ("import chestgan_assets.definitions", many),
        ]
        for code, environment in starts:
            _cpu_seconds(code, environment)
        seconds = [[_cpu_seconds(code, environment) for code, environment in starts] for _ in range(ROUNDS)]
    theirs, *ours = (sorted(column)[ROUNDS // 2] for column in zip(*seconds, strict=True))
    return [
        Ratio(
            name=f"load the code location{more} / import dagster",
            ours=one,
            theirs=theirs,
            unit="s CPU",
            target=TARGET,
            at_most=True,
        )
        for one, more in zip(ours, ("", f", {OWN} own experiments"), strict=True)
    ]


def _environment(home: Path) -> dict[str, str]:
    environment = {**os.environ, "CHESTGAN_HOME": str(home)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def _experiments(folder: Path) -> Path:
    folder.mkdir()
    for number in range(OWN):
        text = f"dataset: phantom\nseed: {number}\ntraining: {{images: 1000}}\n"
        (folder / f"own-{number}.yaml").write_text(text)
    return folder


def _cpu_seconds(code: str, environment: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
