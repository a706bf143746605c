"""Generators that fail in the known ways, each refused by the rule that is there for it, and named in the report.

Chests are drawn by formulas, patients differ in size, place and density; radiomic features judge them, which takes no
network. A generator that draws other patients of the same kind passes.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from chestgan_core.config.release_rules import ReleaseRules
from chestgan_core.evaluation.pages.figures import draw_figures
from chestgan_core.evaluation.pages.report_page import write_pages
from chestgan_core.evaluation.scoring.evaluate import evaluate
from chestgan_core.evaluation.scoring.gate import GateResult, apply_gate
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.imaging.windows import WINDOWS

LUNG = WINDOWS["lung"]
SIZE, EACH, HELD_OUT, TRAINED = 48, 8, 8, 8
# Radiomic distances have a scale of their own: between groups of these patients KID x 1000 is some hundreds.
RULES = ReleaseRules(max_kid_above_floor=5000)
ATTACKS = {"attacks": "the images of this test are not attacked"}


def slices(patient: int) -> Tensor:
    """(EACH, 1, SIZE, SIZE) in [-1, 1]: neighbouring slices of one patient."""
    random = np.random.default_rng(patient)
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    width, depth, lung = random.uniform(0.75, 0.95), random.uniform(0.6, 0.85), random.uniform(-880, -780)
    shift, apart = random.uniform(-0.08, 0.08, 2), random.uniform(0.36, 0.44)
    hu = np.full((EACH, SIZE, SIZE), -1000.0)
    for at in range(EACH):
        grown = 0.75 + 0.25 * np.sin(np.pi * (at + 1) / (EACH + 1))
        hu[at][((x - shift[0]) / width) ** 2 + ((y - shift[1]) / depth) ** 2 < 1] = 40
        for side in (-1, 1):
            hu[at][
                ((x - shift[0] - side * apart) / (0.28 * grown)) ** 2 + ((y - shift[1]) / (0.5 * grown)) ** 2
                < 1
            ] = lung
        vessels = random.integers(SIZE // 4, 3 * SIZE // 4, (12, 2))
        hu[at, vessels[:, 0], vessels[:, 1]] += 500
    noisy = torch.from_numpy(hu + random.standard_normal(hu.shape) * 40).float()[:, None]
    # What a scanner does to edges and noise.
    unit: Tensor = LUNG.to_unit(
        functional.avg_pool2d(functional.pad(noisy, (1, 1, 1, 1), mode="replicate"), 3, 1)
    )
    return unit


def patients(first: int, count: int) -> RealImages:
    images = torch.cat([slices(first + at) for at in range(count)])
    return RealImages(images, tuple(f"p{first + at}" for at in range(count) for _ in range(EACH)))


@pytest.fixture(scope="module")
def real() -> tuple[RealImages, RealImages]:
    """Held-out patients, and those trained on."""
    return patients(0, HELD_OUT), patients(100, TRAINED)


def report_of(fake: Tensor, real: tuple[RealImages, RealImages]) -> MetricReport:
    held_out, trained = real
    report = evaluate(
        held_out,
        fake,
        window=LUNG,
        source_title="chests drawn by formulas",
        image_kind="phantom",
        model_title="a generator",
        reference=trained,
        extractors=("radiomics",),
    )
    return replace(report, gate=apply_gate(report.rows, RULES, not_asked=ATTACKS))


def gate_of(report: MetricReport) -> GateResult:
    assert report.gate is not None
    return report.gate


def noise(like: Tensor, level: float, seed: int = 5) -> Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)) * level


def others(_: Tensor) -> Tensor:
    return patients(200, HELD_OUT).images


def memorizing(trained: Tensor) -> Tensor:
    return (trained + noise(trained, 0.005)).clamp(-1, 1)


def collapsed(trained: Tensor) -> Tensor:
    one = others(trained)[:1].expand_as(trained)
    return (one + noise(one, 0.01)).clamp(-1, 1)


def of_few_modes(trained: Tensor) -> Tensor:
    few = others(trained)[::16].repeat_interleave(len(trained) // 4, 0)
    return (few + noise(few, 0.005)).clamp(-1, 1)


def blurred(trained: Tensor) -> Tensor:
    return functional.avg_pool2d(functional.pad(others(trained), (4, 4, 4, 4), mode="replicate"), 9, 1)


def pure_noise(trained: Tensor) -> Tensor:
    return noise(trained, 0.7).clamp(-1, 1)


def test_a_generator_that_draws_other_patients_passes(real: tuple[RealImages, RealImages]) -> None:
    gate = gate_of(report_of(others(real[1].images), real))
    assert gate.passed, gate.line()
    assert not gate.off


@pytest.mark.parametrize(
    ("generator", "rule", "named"),
    [
        (memorizing, "memorization", "memorized fraction above its floor is "),
        (collapsed, "diversity", "distance between images divided by that between real ones is "),
        (of_few_modes, "diversity", "distance between images divided by that between real ones is "),
        (blurred, "distance", "KID x 1000 above its floor is "),
        (pure_noise, "distance", "KID x 1000 above its floor is "),
    ],
)
def test_a_generator_that_fails_is_refused_by_the_rule_for_it_and_named(
    generator: Callable[[Tensor], Tensor],
    rule: str,
    named: str,
    real: tuple[RealImages, RealImages],
    tmp_path: Path,
) -> None:
    report = report_of(generator(real[1].images), real)
    gate = gate_of(report)
    failed = {one.check for one in gate.rules if one.state == "failed"}
    assert rule in failed, gate.line()
    assert named in gate.line()
    figures = draw_figures(report, tmp_path / "figures")
    page = next(
        file for file in write_pages(report, figures, tmp_path) if file.name == "report.html"
    ).read_text()
    assert "Refused by the release gate" in page
    assert named[:1].upper() + named[1:] in page


def test_what_is_copied_is_as_near_and_as_varied_as_real_images(real: tuple[RealImages, RealImages]) -> None:
    """Only the rule about copies sees a generator that memorizes: its images are good."""
    gate = gate_of(report_of(memorizing(real[1].images), real))
    assert {one.check for one in gate.rules if not one.passed} == {"memorization"}


def test_of_few_patients_nobody_says_that_images_are_copies(real: tuple[RealImages, RealImages]) -> None:
    held_out, trained = real
    few = held_out.subset(range(4 * EACH))
    gate = gate_of(report_of(memorizing(trained.images), (few, trained)))
    assert gate.passed, gate.line()
    assert [one.check for one in gate.unknown] == ["memorization", "attacks"]
    assert "of 4 held-out patient(s), fewer than 5, it is chance" in gate.line()


def test_noise_is_called_noise(real: tuple[RealImages, RealImages]) -> None:
    report = report_of(pure_noise(real[1].images), real)
    row = report.row("memorized fraction")
    assert row is not None
    assert row.note == "not measured: the synthetic images are noise: neighbouring pixels are unrelated"
