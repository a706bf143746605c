"""Normalizing zipped slices: its speed against merely reading them, two patients at once against one after the other,
compressed slices decoded in a process of their own against in this one, and its memory against a smaller delivery.

The baseline reads with zipfile and pydicom in one thread. Ours reads ahead in a second thread beside the main one,
which a machine with several cores runs at the same time; hence a second row, where both share one core.
"""

import io
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pydicom
from openjpeg.utils import encode_buffer
from pydicom.pixels.decoders.rle import _rle_decode_frame
from rle.rle import encode_frame

from bench.peak import PEAK
from bench.ratio import Ratio
from chestgan_core.dicom import decode_worker
from chestgan_core.dicom.decoding import decode
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.slices.normalization import normalize
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


def measure(real_data: Path) -> list[Ratio]:
    """Slices per second and peak memory. Without real data generated slices are read, which are smaller."""
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        patients = _phantom_zips(Path(scratch))
        zips = sorted((real_data / "dicom" / "qin_lung_ct").rglob("*.zip"))
        if zips:
            speed = _speed(zips, "CT slices in zips", target=0.7)
        else:
            # 256 x 256 and smooth: little to decompress, so that the cost of a header weighs more.
            speed = _speed(patients[:2], "generated slices in zips", target=0.4)
        at_once = _two_processes(zips or patients[:2])
        compressed = _in_worker(zips[:1] or patients[:1])
        return [*speed, *compressed, *at_once, _memory(patients, Path(scratch) / "shard.safetensors")]


def _speed(zips: list[Path], what: str, target: float) -> list[Ratio]:
    ratios = [_compare(zips, what, target)]
    if hasattr(os, "sched_setaffinity"):  # Linux
        with _one_core():
            # Nothing is read ahead here, so body, lungs, crop and perceptual hash add up to the reading.
            alone = _compare(zips, what, target - 0.1)
            ratios.append(replace(alone, name="normalize on one core"))
    return ratios


@contextmanager
def _one_core() -> Iterator[None]:
    """This thread, and those that it starts, share one core."""
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
        name="normalize",
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


def _two_processes(zips: list[Path]) -> list[Ratio]:
    """Two deliveries in a process each, as the multiprocess executor of the pipeline runs two patients.

    Each process reads ahead in a thread of its own, so that one alone keeps 1.4 cores busy (392/s against 277/s on one
    core): two cores can give at most 1.4 times its speed.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        return []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as one, ProcessPoolExecutor(2, context) as two:
        # Twice the delivery, so that both processes have the same work; the first round also starts them.
        slices = sum(_each(two, [zips, zips]))
        _each(one, [zips])
        alone, together = [], []
        for _ in range(ROUNDS):
            alone.append(slices / _seconds(lambda all_: len(_each(one, [all_, all_])), zips))
            together.append(slices / _seconds(lambda all_: len(_each(two, [all_, all_])), zips))
    return [
        Ratio(
            name="normalize, 2 processes / 1 process",
            ours=statistics.median(together),
            theirs=statistics.median(alone),
            unit="slices/s",
            target=1.2,
            note=f"{slices} slices in zips as two deliveries, {cores} cores, median of {ROUNDS}",
        )
    ]


def _each(pool: Executor, deliveries: list[list[Path]]) -> list[int]:
    """Slices kept of each delivery, a task each."""
    return list(pool.map(_normalize, deliveries))


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


def _peak_mib(zips: list[Path], shard: Path) -> float:
    command = [sys.executable, "-c", PROGRAM + PEAK, str(shard), *map(str, zips)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024


def _seconds(work: Callable[[list[Path]], int], zips: list[Path]) -> float:
    started = time.perf_counter()
    work(zips)
    return time.perf_counter() - started


def _read_plainly(zips: list[Path]) -> int:
    return sum(image.ndim == 2 for image in _pixels(zips))


def _normalize(zips: list[Path]) -> int:
    return normalize(zips, NormalizationRecipe(), Pseudonyms()).report.kept


def _phantom_zips(scratch: Path) -> list[Path]:
    """One zip for each of TIMES * PATIENTS patients."""
    zips = []
    for patient in write_phantoms(scratch / "phantoms", patients=TIMES * PATIENTS):
        zips.append(scratch / f"{patient.patient_id}.zip")
        with zipfile.ZipFile(zips[-1], "w", zipfile.ZIP_DEFLATED) as archive:
            for number, file in enumerate(sorted(patient.folder.iterdir())):
                archive.write(file, f"{number:06d}.dcm")
    return zips
