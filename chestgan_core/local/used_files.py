"""Large files that live as long as a process uses them: FILE.safetensors, with FILE.lock that its users share.

In: a folder. Out: it has no files any more that nobody uses, such as those of a killed process.
"""

from contextlib import suppress
from pathlib import Path

from chestgan_core.local.files import file_lock, sweep

MAPPED_SLICES = "mapped-slices"
"""Below $CHESTGAN_HOME: slices of trainings (training/packed_file.py), which are images of people."""


def remove_unused(folder: Path, but: Path | None = None) -> None:
    """Remove the files that no process uses, and what was not written to its end. but: stays in any case."""
    sweep(folder)
    for name in {path.stem for ending in ("safetensors", "lock") for path in folder.glob(f"[!.]*.{ending}")}:
        path = folder / f"{name}.safetensors"
        with suppress(OSError):
            if path != but:
                with file_lock(path.with_suffix(".lock"), wait=False, remove=True):
                    path.unlink(missing_ok=True)
