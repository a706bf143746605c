"""How many cores this process may use: those that it is allowed to run on, the quota of its container, and a setting.

In: what Linux says, and CHESTGAN_CORES. Out: a number from 1 to MAX_CORES.
"""

import math
import os
from pathlib import Path

from chestgan_core.local.environment import whole_number_from_environment
from chestgan_core.local.files import text_or_empty

VARIABLE = "CHESTGAN_CORES"
MAX_CORES = 64  # one process feeds the others, and can feed no more
# CPU time that a container may use in a period: both in one file (version 2 of control groups), or one in each.
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
QUOTA, PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def usable_cores() -> int:
    """CHESTGAN_CORES, else the cores that this process may run on, within the quota of its container, rounded up.

    Raises BadInput: the variable is no whole number from 1 to MAX_CORES.
    """
    given = whole_number_from_environment(VARIABLE, 1, MAX_CORES)
    if given is not None:
        return given
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, math.ceil(_quota()), MAX_CORES))


def _quota() -> float:
    """Cores; MAX_CORES where there is no quota."""
    parts = text_or_empty(CPU_MAX).split() or [text_or_empty(QUOTA).strip(), text_or_empty(PERIOD).strip()]
    if len(parts) == 2 and all(map(str.isdecimal, parts)) and int(parts[1]):
        return int(parts[0]) / int(parts[1])
    return MAX_CORES
