"""Commands whose disk is full at some point.

In: seconds, a seed, slices. Out: a Tally. A command ends with one line that names the disk, leaves no file that is half
written and none that is hidden, and works when there is room. Needs the right to mount a small file system.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.tally import Tally

_SIZES_KIB = (64, 256, 512, 1024, 2048, 4096)
_ROOM_KIB = 262_144
_MINUTES = 5


def full_disks(until: float, seed: int, folder: Path) -> Tally:
    """normalize, train, generate and evaluate write to a disk without room for what they write."""
    tally, chance = Tally("disk full", "one line, no half file, works with room", seed), random.Random(seed)
    if sys.platform != "linux" or os.geteuid() != 0:
        tally.left_out = "mounting a small file system needs root"
        return tally
    inputs = folder / "inputs"
    inputs.mkdir()
    commands = _commands(inputs)
    while tally.tried < len(commands) or time.monotonic() < until:
        name = sorted(commands)[tally.tried % len(commands)]
        size = chance.choice(_SIZES_KIB)
        disk = folder / "disk"
        with _small_disk(disk, size):
            before = _run(commands[name], disk)
            _judge(tally, name, before, disk, size)
            if before.returncode:
                subprocess.run(["mount", "-o", f"remount,size={_ROOM_KIB}k", disk], check=True)
                after = _run(commands[name], disk)
                tally.require(after.returncode == 0, f"{name} with room again: {_last(after)}")
        tally.tried += 1
    return tally


def _judge(tally: Tally, name: str, done: "subprocess.CompletedProcess[str]", disk: Path, size: int) -> None:
    if done.returncode == 0:
        tally.confirmed += 1
        return
    tally.faults += 1
    cause = _last(done)
    tally.refused[f"{name}: {cause.rpartition(': ')[2]}"] += 1
    tally.require(done.returncode == 1, f"{name} on {size} KiB ended with status {done.returncode}")
    tally.require("Traceback" not in done.stderr, f"{name} on {size} KiB: a traceback, {cause}")
    tally.require("No space left" in done.stderr or "free" in cause, f"{name} on {size} KiB: {cause}")
    hidden = [path.name for path in disk.rglob(".*") if path.is_file() and not path.name.endswith(".lock")]
    tally.require(not hidden, f"{name} on {size} KiB left {hidden[:3]}")


def _commands(inputs: Path) -> dict[str, list[str]]:
    """Arguments of `chestgan`; DISK stands for the folder on the small disk."""
    from chestgan_core.sources.phantom.patients import write_phantoms

    dicom = inputs / "dicom"
    write_phantoms(dicom, patients=3, size=128, slices=24)
    slices, model = inputs / "slices.safetensors", inputs / "model"
    for arguments in (
        ["normalize", str(dicom), "--out", str(slices)],
        ["train", "demo-folder", "--data", str(slices), "--out", str(model), "--max-images", "64"],
    ):
        done = _chestgan(arguments, inputs)
        if done.returncode:
            raise SystemExit(f"chaos: the inputs could not be made: {_last(done)}")
    return {
        "normalize": ["normalize", str(dicom), "--out", "DISK/slices.safetensors"],
        "train": ["train", "demo-folder", "--data", str(slices), "--out", "DISK/model", "--max-images", "64"],
        "generate": ["generate", "--model", str(model), "--count", "500", "--out", "DISK/fake.safetensors"],
    }


def _run(arguments: list[str], disk: Path) -> "subprocess.CompletedProcess[str]":
    return _chestgan([argument.replace("DISK", str(disk)) for argument in arguments], disk.parent / "inputs")


def _chestgan(arguments: list[str], home: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "CHESTGAN_HOME": str(home / "home"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "chestgan_core.cli", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=60 * _MINUTES, check=False
    )


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    return (done.stderr.strip().splitlines() or [""])[-1]


@contextmanager
def _small_disk(path: Path, kib: int) -> Iterator[None]:
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "chaos", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)
