"""`make chaos`: kills, cut connections and full disks, with seeds, and what must hold after each.

In: seconds in all (default 120) and a seed. Out: a table on standard output; exit status 1 where a promise was broken.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from chaos import disk_faults, store_faults, training_faults
from chaos.tally import Tally
from chestgan_core.local.log_lines import configure_logging
from chestgan_core.store.embedded import EmbeddedStore

_HEAD = "| fault | tried | faults | confirmed | refused | broken | what must hold | |\n" + 8 * "|---" + "|"


def main() -> int:
    """Try every kind of fault for the same time, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="in all (default: 120)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    configure_logging()
    with tempfile.TemporaryDirectory(prefix="chestgan-chaos-") as scratch:
        tallies = list(_run(Path(scratch), arguments.seconds, arguments.seed))
    for tally in tallies:
        if details := tally.details():
            print(details)
    return 1 if any(tally.broken for tally in tallies) else 0


def _run(scratch: Path, seconds: float, seed: int) -> list[Tally]:
    tallies = []
    print(_HEAD, flush=True)
    with EmbeddedStore(scratch / "store") as server:
        with_store: list[Callable[[EmbeddedStore, float, int, Path], Tally]] = [
            store_faults.killed_writers,
            store_faults.killed_publishers,
            store_faults.killed_readers,
            store_faults.cut_connections,
            store_faults.killed_servers,
        ]
        kinds: list[Callable[[float, int, Path], Tally]] = [
            *(lambda until, seed, folder, one=one: one(server, until, seed, folder) for one in with_store),
            training_faults.killed_trainings,
            disk_faults.full_disks,
        ]
        for number, kind in enumerate(kinds):
            folder = scratch / str(number)
            folder.mkdir()
            tally = kind(time.monotonic() + seconds / len(kinds), seed, folder)
            tallies.append(tally)
            print(tally.row(), flush=True)
    return tallies


if __name__ == "__main__":
    sys.exit(main())
