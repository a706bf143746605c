"""Normalizing zipped slices: its speed on one core against merely reading them, on two cores against one, compressed
slices decoded in a process of their own against in this one, and its memory against a smaller delivery.

The baseline reads with zipfile and pydicom. On one core, body, lungs, crop, perceptual hash and rows add up to the
reading. On two, this process and another one normalize; what both spend in CPU time is said beside the speed, since a
machine that is busy with other work has no second core to give.
"""

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pydicom
from openjpeg.utils import encode_buffer
from pydicom.pixels.decoders.rle import _rle_decode_frame
from rle.rle import encode_frame

from bench.peak import PEAK
from bench.ratio import Ratio
from chestgan_core.dicom import decode_worker
from chestgan_core.dicom.decoding import decode
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.local.workers import Workers
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.normalizing_workers import normalizing_workers
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.sources.phantom.patients import write_phantoms

ROUNDS = 7
PATIENTS, TIMES = 3, 4
FRAMES = 40

PROGRAM = """
import sys
from pathlib import Path
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.shards import write_shard
write_shard(normalize([Path(p) for p in sys.argv[2:]], NormalizationRecipe(), Pseudonyms()).shard, Path(sys.argv[1]))
"""

TOGETHER = """
import sys
from pathlib import Path
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.normalizing_workers import normalizing_workers
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.shards import write_shard
def peak(process):
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
zips = [Path(p) for p in sys.argv[2:]]
with normalizing_workers(2, start_after=0) as workers:
    done = normalize(zips[:1], NormalizationRecipe(), Pseudonyms(), workers=workers)
    while not workers.ready:
        normalize(zips[:1], NormalizationRecipe(), Pseudonyms(), workers=workers)
    done = normalize(zips, NormalizationRecipe(), Pseudonyms(), workers=workers)
    write_shard(done.shard, Path(sys.argv[1]))
    print(sum(peak(process) for process in ["self", *workers.processes]))
"""


def measure(real_data: Path) -> list[Ratio]:
    """Slices per second and peak memory. Without real data generated slices are read, which are smaller."""
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        patients = _phantom_zips(Path(scratch))
        zips = sorted((real_data / "dicom" / "qin_lung_ct").rglob("*.zip"))
        with _one_core():
            if zips:
                alone = _compare(zips, "CT slices in zips", target=0.85)
            else:
                # 256 x 256 and smooth: little to decompress, so that the cost of a header weighs more.
                alone = _compare(patients[:2], "generated slices in zips", target=0.5)
        together = _two_cores(zips or patients[:2])
        compressed = _in_worker(zips[:1] or patients[:1])
        shard = Path(scratch) / "shard.safetensors"
        return [alone, *together, *compressed, _memory(patients, shard), *_memory_together(patients, shard)]


@contextmanager
def _one_core() -> Iterator[None]:
    """This process has one core, where the system can say so (Linux)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _compare(zips: list[Path], what: str, target: float) -> Ratio:
    slices = _read_plainly(zips)  # also warms the page cache
    _normalize(zips)
    ours, theirs = [], []
    for _ in range(ROUNDS):  # interleaved, so that a busy machine slows both
        theirs.append(slices / _seconds(_read_plainly, zips))
        ours.append(slices / _seconds(_normalize, zips))
    return Ratio(
        name="normalize on one core",
        ours=statistics.median(ours),
        theirs=statistics.median(theirs),
        unit="slices/s",
        target=target,
        note=f"{slices} {what}, against zipfile and pydicom pixel_array, median of {ROUNDS}",
    )


def _in_worker(zips: list[Path]) -> list[Ratio]:
    """Compressed slices decoded in a process of their own, against what could decode them in this one.

    That is OpenJPEG, which may take this process along, and for RLE pydicom's decoder, which is written in Python.
    """
    images = [image.astype("<u2") for image in islice(_pixels(zips), FRAMES)]
    rows, columns = images[0].shape
    frames = [encode_buffer(image.tobytes(), columns, rows, 1, 16, False) for image in images]
    segments = [bytes(encode_frame(image.tobytes(), rows, columns, 1, 16, "<")) for image in images]
    jpeg_2000, rle = decode_worker.JPEG_2000, decode_worker.RLE
    return [
        _decoding(
            "JPEG 2000",
            frames,
            lambda frame: decode(frame, jpeg_2000, "", rows, columns, 16),
            lambda frame: decode_worker.samples_of(frame, jpeg_2000, "", rows, columns, 16),
            target=0.85,
        ),
        _decoding(
            "RLE",
            segments,
            lambda frame: decode(frame, rle, "", rows, columns, 16),
            lambda frame: _rle_decode_frame(frame, rows, columns, 1, 16, "<"),
            target=1.0,
        ),
    ]


def _decoding(
    name: str,
    frames: list[bytes],
    there: Callable[[bytes], object],
    here: Callable[[bytes], object],
    target: float,
) -> Ratio:
    def rate(decode: Callable[[bytes], object]) -> float:
        started = time.perf_counter()
        for frame in frames:
            decode(frame)
        return len(frames) / (time.perf_counter() - started)

    rate(there)  # starts the process
    rates = [(rate(there), rate(here)) for _ in range(ROUNDS)]
    return Ratio(
        name=f"decode {name} in its own process",
        ours=statistics.median(ours for ours, _ in rates),
        theirs=statistics.median(theirs for _, theirs in rates),
        unit="slices/s",
        target=target,
        note=f"{len(frames)} slices, against a decoder in this process, median of {ROUNDS}",
    )


def _pixels(zips: list[Path]) -> Iterator[np.ndarray]:
    for path in zips:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".dcm"):
                    yield pydicom.dcmread(io.BytesIO(archive.read(name))).pixel_array


def _two_cores(zips: list[Path]) -> list[Ratio]:
    """This process and another one, against this one alone; nothing where there is one core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        return []
    with normalizing_workers(2, start_after=0) as two:
        while not two.ready:
            _normalize(zips, two)
        alone, together, spent_alone, spent_together = [], [], 0.0, 0.0
        slices = _read_plainly(zips)
        for _ in range(ROUNDS):
            before = _cpu_seconds(two)
            alone.append(slices / _seconds(_normalize, zips))
            between = _cpu_seconds(two)
            together.append(slices / _seconds(lambda all_: _normalize(all_, two), zips))
            spent_alone += between - before
            spent_together += _cpu_seconds(two) - between
    return [
        Ratio(
            name="normalize on two cores / on one",
            ours=statistics.median(together),
            theirs=statistics.median(alone),
            unit="slices/s",
            target=1.8,
            note=f"{slices} slices, {cores} cores, median of {ROUNDS}; CPU time of two / of one: "
            f"{spent_together / spent_alone:.2f}",
        )
    ]


def _cpu_seconds(workers: Workers) -> float:
    """Of this process and of those that work for it."""
    spent = time.process_time()
    for process in workers.processes:
        times = psutil.Process(process).cpu_times()
        spent += times.user + times.system
    return spent


def _memory(patients: list[Path], shard: Path) -> Ratio:
    return Ratio(
        name=f"normalize {TIMES * PATIENTS} series / {PATIENTS} series",
        ours=_peak_mib(patients, shard),
        theirs=_peak_mib(patients[:PATIENTS], shard),
        unit="MiB peak RSS",
        target=1.1,
        note="generated slices in zips, to a shard on the disk, one process each",
        at_most=True,
    )


def _memory_together(patients: list[Path], shard: Path) -> list[Ratio]:
    """Peak of the process that is fed by another one, and that of the other one, with more series and with fewer."""
    if not Path("/proc/self/status").exists():
        return []
    return [
        Ratio(
            name=f"normalize {TIMES * PATIENTS} series / {PATIENTS} series on two cores",
            ours=_peak_mib(patients, shard, TOGETHER),
            theirs=_peak_mib(patients[:PATIENTS], shard, TOGETHER),
            unit="MiB peak RSS",
            target=1.1,
            note="generated slices in zips, sum of the peaks of both processes",
            at_most=True,
        )
    ]


def _peak_mib(zips: list[Path], shard: Path, program: str = PROGRAM + PEAK) -> float:
    command = [sys.executable, "-c", program, str(shard), *map(str, zips)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024


def _seconds(work: Callable[[list[Path]], int], zips: list[Path]) -> float:
    started = time.perf_counter()
    work(zips)
    return time.perf_counter() - started


def _read_plainly(zips: list[Path]) -> int:
    return sum(image.ndim == 2 for image in _pixels(zips))


def _normalize(zips: list[Path], workers: Workers | None = None) -> int:
    return normalize(zips, NormalizationRecipe(), Pseudonyms(), workers=workers).report.kept


def _phantom_zips(scratch: Path) -> list[Path]:
    """One zip for each of TIMES * PATIENTS patients."""
    zips = []
    for patient in write_phantoms(scratch / "phantoms", patients=TIMES * PATIENTS):
        zips.append(scratch / f"{patient.patient_id}.zip")
        with zipfile.ZipFile(zips[-1], "w", zipfile.ZIP_DEFLATED) as archive:
            for number, file in enumerate(sorted(patient.folder.iterdir())):
                archive.write(file, f"{number:06d}.dcm")
    return zips
