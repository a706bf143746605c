"""From the full index of the Imaging Data Commons (a million series) to the selected rows: time and memory.

Each time a fresh process, from start to end, against fixed limits: 5 seconds and 1 GiB. Seconds are CPU time: one
thread does all the work, so an idle machine takes as long. Alternating with it, the plain way: a pyarrow.dataset with a
filter and the same columns.
"""

import logging
import resource
import subprocess
import sys
import time

from bench.peak import PEAK
from bench.ratio import Ratio
from chestgan_core.errors import NotAvailable
from chestgan_core.sources.idc.index import installed_index

log = logging.getLogger("chestgan.bench")

ROUNDS = 5
MAX_SECONDS, MAX_MIB = 5.0, 1024.0

OURS = """
from pathlib import Path
from chestgan_core.config.dataset import dataset_named
from chestgan_core.sources.catalog.listing import list_series
print(len(list_series(dataset_named("lung_pet_ct_dx"), Path("unused")).selected))
"""
PLAIN = """
import pyarrow.dataset as ds
from chestgan_core.sources.idc.index import COLUMNS, installed_index
rows = ds.dataset(installed_index()).to_table(
    columns=list(COLUMNS), filter=ds.field("collection_id") == "lung_pet_ct_dx"
)
print(len(rows))
"""


def measure() -> list[Ratio]:
    """Medians. No row where the index is not installed."""
    try:
        index = installed_index()
    except NotAvailable as error:
        log.warning(f"left out: {error}")
        return []
    ours, plain = [], []
    for _ in range(ROUNDS):
        plain.append(_run(PLAIN))
        ours.append(_run(OURS))
    seconds, mib, wall = _medians(ours)
    plain_seconds, plain_mib, plain_wall = _medians(plain)
    what = f"catalog of the full index ({index.stat().st_size / 1e6:.0f} MB), whole process"
    limit = "the baseline is the limit; a pyarrow.dataset with a filter takes"
    return [
        Ratio(
            name=f"{what}: time",
            ours=seconds,
            theirs=MAX_SECONDS,
            unit="s CPU",
            target=1.0,
            note=f"{limit} {plain_seconds:.1f} (wall clock {plain_wall:.1f}, ours {wall:.1f})",
            at_most=True,
        ),
        Ratio(
            name=f"{what}: peak memory",
            ours=mib,
            theirs=MAX_MIB,
            unit="MiB",
            target=1.0,
            note=f"{limit} {plain_mib:.0f}",
            at_most=True,
        ),
    ]


def _run(program: str) -> tuple[float, float, float]:
    """CPU seconds, peak MiB and wall clock seconds of a fresh interpreter."""
    started, before = time.perf_counter(), _children_seconds()
    done = subprocess.run([sys.executable, "-c", program + PEAK], check=True, capture_output=True, text=True)
    wall = time.perf_counter() - started
    return _children_seconds() - before, int(done.stdout.split()[-1]) / 1024, wall


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _medians(runs: list[tuple[float, float, float]]) -> list[float]:
    return [sorted(values)[ROUNDS // 2] for values in zip(*runs, strict=True)]
