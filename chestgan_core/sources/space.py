"""Room on the disk, looked at before work starts that would fill it.

In: how many bytes will lie where. Out: nothing, or BadInput that says how much is needed and where.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from chestgan_core.errors import BadInput

# Others write too, and a file system that is nearly full is slow.
HEADROOM_SHARE, HEADROOM_BYTES = 0.1, 64 * 2**20


def require_space(needs: Iterable[tuple[Path, int, str]]) -> None:
    """needs: folder (it may not exist yet), bytes, and what sets where it lies. Needs on one disk are added up.

    Raises BadInput.
    """
    disks: dict[int, tuple[Path, int, str]] = {}
    for folder, needed, remedy in needs:
        there = _existing(folder)
        device = there.stat().st_dev
        first, sum_so_far, told = disks.get(device, (there, 0, remedy))
        disks[device] = first, sum_so_far + needed, told
    for folder, needed, remedy in disks.values():
        wanted = int(needed * (1 + HEADROOM_SHARE)) + HEADROOM_BYTES
        free = shutil.disk_usage(folder).free
        if free < wanted:
            raise BadInput(
                folder,
                f"the disk has {free / 1e9:.2f} GB free, {wanted / 1e9:.2f} GB are needed",
                f"free some space, or {remedy}",
            )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
