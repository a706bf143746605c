"""A metric report against the bare forward passes of its extractors, and its memory at N and at 2N images per side.

In: nothing; smooth random images of many patients, as large as slices of 64 pixels. Out: three rows. The report
compares N real with N synthetic images, with N of other patients for floor and memorization, and writes its page; once
with one extractor, once with three and with membership attacks, of which a discriminator is a part. The bare passes
take each image once through the same extractors. Seconds are CPU time of all threads: the parts run one after the
other, and other processes must not decide. `python -m bench.evaluation --images 100` tries it with fewer images.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from bench.peak import PEAK
from bench.ratio import Ratio
from chestgan_core.config.experiment import load_experiment
from chestgan_core.evaluation.pages.report_page import write_report
from chestgan_core.evaluation.scoring.attack_metrics import with_attacks
from chestgan_core.evaluation.scoring.attack_sides import KnownImages
from chestgan_core.evaluation.scoring.evaluate import compute_features, evaluate
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.evaluation.thesis.measuring import RunDiscriminator
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.metrics.feature_extractors import open_extractor
from chestgan_core.networks.registry import build_discriminator
from chestgan_core.training.weights import LoadedDiscriminator

IMAGES, SIZE, SLICES = 2_000, 64, 20
PATIENTS = 12  # at least, or there are no attacks
# What metrics, figures and the page may take in addition to the passes; and with all extractors and attacks.
REST_SECONDS, ALL_REST_SECONDS = 10.0, 20.0
ALL = ("efficientnet-lite0", "efficientnet-lite2", "radiomics")
MEMORY = f"""
import sys
from bench.evaluation import report
report(int(sys.argv[1]))
{PEAK}"""


def measure(images: int = IMAGES) -> list[Ratio]:
    """Time at `images` per side and memory at a quarter and half of them; a quarter of an hour."""
    once, twice = (_peak(images * part // 4) for part in (1, 2))
    return [
        _ratio("metric report / bare passes", images, ALL[:1], REST_SECONDS, report),
        _ratio("the same with three extractors and attacks", images, ALL, ALL_REST_SECONDS, complete_report),
        Ratio("memory of a report, N and 2N", twice / 1024, once / 1024, "MiB", 1.25,
              f"peak of a process at {images // 2:,} and {images // 4:,} images per side", at_most=True),
    ]  # fmt: skip


def _ratio(
    name: str, images: int, extractors: Sequence[str], rest: float, run: Callable[[int], None]
) -> Ratio:
    """rest: seconds that it may take more."""
    opened = [open_extractor(one, window=WINDOWS["lung"]) for one in extractors]
    for extractor in opened:
        extractor.features(_images(64, 0), label=None)  # warms up
    started = time.process_time()
    for extractor in opened:
        for seed in range(3):
            extractor.features(_images(images, seed), label=None)
    bare = time.process_time() - started
    started = time.process_time()
    run(images)
    ours = time.process_time() - started
    note = f"{ours:.0f} s in all; {images:,} real, synthetic and others' images; {rest:g} s more are allowed"
    return Ratio(name, max(ours - rest, 0.01), bare, "s", 1.3, note, at_most=True)


def report(images: int) -> None:
    """One report, written and discarded."""
    _write(_evaluated(images, ALL[:1]))


def complete_report(images: int) -> None:
    """One with all extractors and attacks, written and discarded."""
    experiment = load_experiment("lung-spectral-64")
    network = build_discriminator(experiment).eval()
    discriminator = LoadedDiscriminator(network, experiment, images, "", torch.device("cpu"))
    held_out, trained = _real(images, 0, "held-out"), _real(images, 2, "trained-on")
    _write(
        with_attacks(
            _evaluated(images, ALL),
            KnownImages(trained.images, trained.patients),
            KnownImages(held_out.images, held_out.patients),
            discriminator=RunDiscriminator(discriminator),
            features_of=compute_features,
            images=images,
            seed=0,
        )
    )


def _evaluated(images: int, extractors: Sequence[str]) -> MetricReport:
    return evaluate(
        _real(images, 0, "held-out"),
        _images(images, 1),
        window=WINDOWS["lung"],
        source_title="random images",
        image_kind="phantom",
        model_title="random images",
        reference=_real(images, 2, "trained-on"),
        extractors=extractors,
    )


def _write(found: MetricReport) -> None:
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        write_report(found, Path(scratch))


def _images(count: int, seed: int) -> Tensor:
    """(count, 1, SIZE, SIZE) smooth images in [-1, 1]."""
    coarse = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")


def _real(count: int, seed: int, name: str) -> RealImages:
    slices = max(min(SLICES, count // PATIENTS), 1)
    return RealImages(_images(count, seed), tuple(f"{name}-{at // slices}" for at in range(count)))


def _peak(images: int) -> int:
    """KiB."""
    ran = subprocess.run(
        [sys.executable, "-c", MEMORY, str(images)], capture_output=True, text=True, check=True
    )
    return int(ran.stdout.split()[-1])


def main() -> None:
    """Measure with another number of images."""
    parser = argparse.ArgumentParser(prog="python -m bench.evaluation")
    parser.add_argument("--images", type=int, default=IMAGES, help="of each side")
    for ratio in measure(parser.parse_args().images):
        print(ratio.row(), flush=True)


if __name__ == "__main__":
    main()
