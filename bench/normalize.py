"""Normalizing zipped slices against merely reading them with zipfile and pydicom, one process each."""

import io
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pydicom

from bench.ratio import Ratio
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.sources.phantom import write_phantoms

ROUNDS = 7


def measure(real_data: Path) -> list[Ratio]:
    """Slices per second. Without real data, zips of generated slices are measured, which are smaller."""
    zips = sorted((real_data / "dicom" / "qin_lung_ct").rglob("*.zip"))
    if zips:
        return [_compare(zips, "CT slices in zips", wanted=0.7)]
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        # 256 x 256 and smooth: little to inflate, so that the cost of a header weighs more.
        return [_compare(_phantom_zips(Path(scratch)), "generated slices in zips", wanted=0.4)]


def _compare(zips: list[Path], what: str, wanted: float) -> Ratio:
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
        wanted=wanted,
        note=f"{slices} {what}, against zipfile and pydicom pixel_array, median of {ROUNDS}",
    )


def _seconds(work: Callable[[list[Path]], int], zips: list[Path]) -> float:
    started = time.perf_counter()
    work(zips)
    return time.perf_counter() - started


def _read_plainly(zips: list[Path]) -> int:
    slices = 0
    for path in zips:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".dcm"):
                    slices += pydicom.dcmread(io.BytesIO(archive.read(name))).pixel_array.ndim == 2
    return slices


def _normalize(zips: list[Path]) -> int:
    return normalize(zips, NormalizationRecipe(), Pseudonyms()).report.kept


def _phantom_zips(scratch: Path) -> list[Path]:
    write_phantoms(scratch / "phantoms", patients=2)
    path = scratch / "phantoms.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, file in enumerate(sorted(scratch.glob("phantoms/**/*"))):
            if file.is_file():
                archive.write(file, f"{number:06d}.dcm")
    return [path]
