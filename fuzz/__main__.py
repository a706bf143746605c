"""`make fuzz`: mutated inputs of every kind, with seeds, and what must hold for each.

In: seconds in all (default 120) or inputs of each kind, and the first seed. Out: a table on standard output, and for
each violation its seed and how to repeat it; exit status 1 where there is one. A violation is a process that dies or
hangs, a traceback, a file that is neither used nor counted, more than 1 GiB of memory, or a character that a terminal
acts on. Seed N of a kind is the same input on every machine, except where real CT ($CHESTGAN_REAL_DATA, ../shared/data)
is among the files that are mutated: --no-real-data leaves it out.
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz.report import Tally
from fuzz.runner import Runner
from fuzz.seeds import make_seeds

ROOT = Path(__file__).parent.parent
KINDS = (
    "dicom",
    "archive",
    "annotations",
    "settings",
    "lists",
    "shards",
    "sets",
    "splits",
    "forms",
    "exports",
    "pictures",
    "answers",
    "layouts",
)


def main() -> int:
    """Try all kinds for the same time, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="in all (default: 120)")
    parser.add_argument("--count", type=int, help="inputs of each kind, in place of --seconds")
    parser.add_argument("--seed", type=int, default=0, help="the first one (default: 0)")
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--keep", type=Path, help="folder to which inputs with a violation are copied")
    parser.add_argument("--processes", type=int, default=1, help="kinds that are tried at once (default: 1)")
    parser.add_argument("--no-real-data", action="store_true")
    arguments = parser.parse_args()
    real = Path(os.environ.get("CHESTGAN_REAL_DATA", ROOT.parent / "shared" / "data")) / "dicom"
    with tempfile.TemporaryDirectory(prefix="chestgan-fuzz-") as scratch:
        seeds = Path(scratch) / "seeds"
        seeds.mkdir()
        make_seeds(seeds, None if arguments.no_real_data else real)
        # Each kind has its part of the time, whatever the others need.
        seconds = arguments.seconds * arguments.processes / len(arguments.kind)
        with ThreadPoolExecutor(arguments.processes) as pool:
            running = [
                pool.submit(_try, kind, seeds, Path(scratch) / kind, arguments, seconds)
                for kind in arguments.kind
            ]
            print(Tally.HEAD, flush=True)
            tallies = []
            for one in running:
                tallies.append(one.result())
                print(tallies[-1].row(), flush=True)
    for tally in tallies:
        if text := tally.violations():
            print(f"\n{text}")
    return 1 if any(tally.found for tally in tallies) else 0


def _try(kind: str, seeds: Path, scratch: Path, arguments: argparse.Namespace, seconds: float) -> Tally:
    runner, tally = Runner(f"fuzz.kinds.{kind}", seeds, scratch, arguments.keep), Tally(kind)
    until, seed = time.monotonic() + seconds, arguments.seed
    try:
        while (
            seed < arguments.seed + arguments.count
            if arguments.count is not None
            else time.monotonic() < until
        ):
            tally.add(runner.run(seed))
            seed += 1
    finally:
        runner.close()
    return tally


if __name__ == "__main__":
    sys.exit(main())
