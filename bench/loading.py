"""Loading the code location against `import dagster` alone, in user CPU seconds of fresh interpreters."""

import resource
import subprocess
import sys

from bench.ratio import Ratio

ROUNDS = 7


def measure() -> list[Ratio]:
    """The median of alternating starts."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(_user_seconds("import dagster"))
        ours.append(_user_seconds("import chestgan_assets.definitions"))
    return [
        Ratio(
            name="load the code location / import dagster",
            ours=sorted(ours)[ROUNDS // 2],
            theirs=sorted(theirs)[ROUNDS // 2],
            unit="s user CPU",
            target=1.3,
            at_most=True,
        )
    ]


def _user_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-c", code], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
