"""The last lines of a program that is measured in its own process: they print its peak memory in KiB.

The peak of this program alone: on Linux, getrusage of a child begins with the peak of its parent.
"""

PEAK = """
import resource
from pathlib import Path
status = Path("/proc/self/status")
if status.exists():
    print(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
