"""The networks, losses, metrics and extractors that docs/extend.md shows work as they stand there."""

import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from chestgan_core.config import training_plan
from chestgan_core.config.experiment import parse_experiment
from chestgan_core.evaluation.scoring import metric_rows, pixel_metrics
from chestgan_core.evaluation.scoring.evaluate import evaluate
from chestgan_core.evaluation.scoring.metric_rows import Measure, RowContext
from chestgan_core.evaluation.scoring.pixel_metrics import PixelComparison
from chestgan_core.evaluation.scoring.sides import RealImages, draw_sides
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.metrics.feature_extractors import Extractor
from chestgan_core.training import losses
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.conditions import NO_CONDITIONS
from chestgan_core.training.distributed import World
from chestgan_core.training.sampling import IndexSampler
from chestgan_core.training.step import step

PAGE = Path(__file__).parent.parent / "docs" / "extend.md"
CPU = torch.device("cpu")


def block(path: str) -> str:
    """The code that the page shows for a file."""
    (code,) = re.findall(rf'```python title="{path}"\n(.*?)```', PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return textwrap.dedent(code)


def run(path: str, names: dict[str, Any]) -> dict[str, Any]:
    """What the code of a block defines. names: of the module that it is added to."""
    found = dict(names)
    exec(compile(block(path), path, "exec"), found)
    return found


def noise(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def trained(family: str, loss: losses.GanLoss | None = None) -> TrainingState:
    """The state after one step."""
    fields: dict[str, Any] = {
        "dataset": "phantom",
        "resolution": 16,
        "network": {"latent_dim": 8, "generator_width": 4, "discriminator_width": 4},
        "training": {"batch_size": 4, "images": 4},
    }
    experiment = parse_experiment(fields, "extended", "test")
    network = experiment.network.model_copy(update={"family": family})
    state = TrainingState(experiment.model_copy(update={"network": network}), CPU, IndexSampler(8, None, CPU))
    state.loss = loss or state.loss
    step(state, noise(8), NO_CONDITIONS, World(), 0.0)
    return state


def test_the_network_is_found_by_its_name_and_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "chestgan_core.networks.upsampling"
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(block("chestgan_core/networks/upsampling.py"), name, "exec"), vars(module))
    state = trained("upsampling")
    assert state.is_finite()
    assert state.generator(torch.randn(2, 8)).shape == (2, 1, 16, 16)


def test_the_loss_has_a_section_and_trains() -> None:
    section = run("chestgan_core/config/training_plan.py", vars(training_plan))["LeastSquares"]
    assert section(kind="least-squares").kind == "least-squares"
    loss = run("chestgan_core/training/losses.py", vars(losses))["LeastSquares"]()
    assert trained("dcgan", loss).is_finite()
    real, fake, random = torch.ones(3), torch.zeros(3), torch.Generator()
    assert loss.discriminator(real, fake, random) == 0
    assert loss.generator(None, fake, random) == 1


def test_the_extractor_measures_a_distance() -> None:
    extractor: Extractor = run("chestgan_core/metrics/grey_levels.py", {})["GreyLevels"]()
    images = torch.cat([noise(16), noise(16).flip(0), noise(16) / 2])
    held_out = RealImages(images[:16], ("one",) * 8 + ("two",) * 8)
    other = RealImages(images[16:32].roll(1, 3), ("three",) * 8 + ("four",) * 8)
    report = evaluate(
        held_out, images[32:], window=WINDOWS["lung"], source_title="noise", image_kind="phantom",
        model_title="less noise", reference=other, extractors=(extractor,),
    )  # fmt: skip
    row = report.row("KID")
    assert row is not None
    assert row.extractor == "grey-levels:1"
    assert row.value is not None
    assert row.floor is not None
    assert row.value > row.floor + 0.1


def test_the_metric_becomes_a_row_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    function = run("chestgan_core/metrics/sharpness.py", {})["sharpness"]
    names = {**vars(pixel_metrics), "sharpness": function}
    method = run("chestgan_core/evaluation/scoring/pixel_metrics.py", {**names})["sharpness"]
    method.__globals__["sharpness"] = function  # in the file it is a method of a class, beside the import
    monkeypatch.setitem(metric_rows.MEASURES, "sharpness", Measure("floor", "diversity"))
    held_out = RealImages(noise(16), ("one",) * 8 + ("two",) * 8)
    sides = draw_sides(held_out, noise(16).flip(0), (), None, 16, 0, "phantom")
    (row,) = RowContext("pixels", (16, 16), "held-out", "", 0).rows(
        lambda: method(PixelComparison(sides, WINDOWS["lung"], 0))
    )
    assert row.measure == "sharpness"
    assert row.value == pytest.approx(row.floor)
    assert row.value == pytest.approx(2 / 3, abs=0.05)
