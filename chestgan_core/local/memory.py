"""How much main memory is left, for what would otherwise be killed without a word; and how this process keeps its own.

In: what Linux says of the machine and of the container. Out: bytes, or None where nobody says it.
"""

import ctypes
from functools import cache
from pathlib import Path

from chestgan_core.local.files import text_or_empty

MEMINFO = Path("/proc/meminfo")
# What a container may use, what it uses, and of that the copies of files that are given up first; version 2 of control
# groups and version 1.
LIMITS = (
    (
        Path("/sys/fs/cgroup/memory.max"),
        Path("/sys/fs/cgroup/memory.current"),
        Path("/sys/fs/cgroup/memory.stat"),
        "inactive_file",
    ),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.stat"),
        "total_inactive_file",
    ),
)

# Of glibc's malloc.h. Blocks up to the first size are kept when they are freed, up to the second size in all.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
KEPT_BLOCK, KEPT = 4 * 1024**2, 32 * 1024**2


@cache
def keep_freed_memory() -> None:
    """Lets this process keep what it frees, up to KEPT bytes, for what it needs next. Where there is no glibc: nothing.

    By default the pixels of each slice go back to the system and are fetched again for the next one, 400 pages at a
    time, which takes a fifth of the time of normalizing it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, KEPT_BLOCK)
        mallopt(_TRIM_THRESHOLD, KEPT)


def available_memory() -> int | None:
    """Bytes that can be allocated before something is killed; None: not known (no Linux)."""
    found = [_of_machine(), *(_of_container(*files) for files in LIMITS)]
    return min((bytes for bytes in found if bytes is not None), default=None)


def _of_machine() -> int | None:
    for line in text_or_empty(MEMINFO).splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024  # kB
    return None


def _of_container(limit: Path, used: Path, statistics: Path, reclaimable: str) -> int | None:
    numbers = text_or_empty(limit).strip(), text_or_empty(used).strip()
    if not all(map(str.isdecimal, numbers)):
        return None
    # Whoever has just downloaded its slices would otherwise seem to have no memory left.
    of_files = dict(
        line.split()[:2] for line in text_or_empty(statistics).splitlines() if line.count(" ") == 1
    )
    return max(int(numbers[0]) - max(int(numbers[1]) - int(of_files.get(reclaimable, 0)), 0), 0)
