"""A metric report against the bare forward passes of its extractor, and its memory at N and at 2N images per side.

In: nothing; smooth random images of many patients, as large as slices of 64 pixels. Out: two rows. The report compares
N real with N synthetic images, with N of other patients for floor and memorization, and writes its page. The bare
passes take the same batches through the same network. Seconds are CPU time of all threads: the two parts run one after
the other, and other processes must not decide.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from bench.peak import PEAK
from bench.ratio import Ratio
from chestgan_core.evaluation.pages.report_page import write_report
from chestgan_core.evaluation.scoring.evaluate import evaluate
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.metrics.feature_extractors import open_extractor

IMAGES, SIZE, SLICES = 2_000, 64, 20
# What metrics, figures and the page may take in addition to the passes.
REST_SECONDS = 10.0
MEMORY = f"""
import sys
from bench.evaluation import report
report(int(sys.argv[1]))
{PEAK}"""


def measure(images: int = IMAGES) -> list[Ratio]:
    """Time at `images` per side and memory at a quarter and half of them; some minutes."""
    extractor = open_extractor()
    extractor.features(_images(64, 0), label=None)  # warms up
    started = time.process_time()
    for seed in range(3):
        extractor.features(_images(images, seed), label=None)
    bare = time.process_time() - started
    started = time.process_time()
    report(images)
    ours = time.process_time() - started
    note = f"{ours:.0f} s in all; {images:,} real, synthetic and others' images; {REST_SECONDS:g} s more are allowed"
    once, twice = (_peak(images * part // 4) for part in (1, 2))
    return [
        Ratio("metric report / bare passes", max(ours - REST_SECONDS, 0.01), bare, "s", 1.3, note,
              at_most=True),
        Ratio("memory of a report, N and 2N", twice / 1024, once / 1024, "MiB", 1.25,
              f"peak of a process at {images // 2:,} and {images // 4:,} images per side", at_most=True),
    ]  # fmt: skip


def report(images: int) -> None:
    """One report, written and discarded."""
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        found = evaluate(
            _real(images, 0, "held-out"),
            _images(images, 1),
            window=WINDOWS["lung"],
            source_title="random images",
            image_kind="phantom",
            model_title="random images",
            reference=_real(images, 2, "trained-on"),
        )
        write_report(found, Path(scratch))


def _images(count: int, seed: int) -> Tensor:
    """(count, 1, SIZE, SIZE) smooth images in [-1, 1]."""
    coarse = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")


def _real(count: int, seed: int, name: str) -> RealImages:
    return RealImages(_images(count, seed), tuple(f"{name}-{at // SLICES}" for at in range(count)))


def _peak(images: int) -> int:
    """KiB."""
    ran = subprocess.run(
        [sys.executable, "-c", MEMORY, str(images)], capture_output=True, text=True, check=True
    )
    return int(ran.stdout.split()[-1])
