"""The plan of an experiment: sizes by hand, speed by doing it, and what it says where something is not known."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.errors import BadInput, NotAvailable
from chestgan_core.local.prices import Prices
from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.distances import kid
from chestgan_core.networks.conditioning import NOTHING_KNOWN
from chestgan_core.networks.registry import build_discriminator, build_generator
from chestgan_core.planning.duration import Estimator
from chestgan_core.planning.held_out import BLURS, blurred, held_out_facts
from chestgan_core.planning.network_sizes import sizes_of
from chestgan_core.planning.plan import DataFacts, Plan, SideCounts, make_plan
from chestgan_core.planning.speed import Speed, measure_scoring, measure_speed
from chestgan_core.planning.stand_in_slices import stand_in_slices
from chestgan_core.planning.text import as_text
from chestgan_core.training.checkpoint import CHECKPOINT_FILE
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.loop import train
from chestgan_core.training.run_manifest import GENERATOR_FILE
from chestgan_core.training.schedule import Budget

CPU = torch.device("cpu")


def small(family: str = "dcgan", conditions: dict[str, Any] | None = None, **training: Any) -> Experiment:
    plan = {"batch_size": 4, "images": 4000, "checkpoint_every_images": 1000, "sample_every_images": 1000}
    fields = {
        "dataset": "phantom",
        "resolution": 32,
        "network": {"family": family, "latent_dim": 8, "generator_width": 3, "discriminator_width": 3},
        "training": plan | training,
        "evaluation": {"images": 12, "others": []},
        "conditions": conditions or {},
    }
    return parse_experiment(fields, "small", "test")


class Histogram:
    """An extractor without a network: the grey levels of an image, and the mean difference of neighbours."""

    id, dimension, about = "histogram", 17, "grey levels"

    def features(self, images: torch.Tensor, label: str | None = None) -> np.ndarray:
        counts = [np.histogram(image, 16, (-1, 1), density=True)[0] for image in images.numpy()]
        steps = (images[..., 1:] - images[..., :-1]).abs().mean(dim=(1, 2, 3)).numpy()
        return np.column_stack([np.stack(counts), 10 * steps]).astype(np.float32)

    def comparable(self, features: np.ndarray, reference: np.ndarray) -> np.ndarray:
        return features

    def class_logits(self, features: np.ndarray) -> np.ndarray:
        raise NotAvailable("histogram", "has no classes", "measure with a network")


def slices_of(patients: int, per_patient: int = 8, seed: int = 0, side: int = 32) -> LoadedSlices:
    """Discs of patients who differ in size and grey, on noise."""
    rng = np.random.default_rng(seed)
    axis = torch.linspace(-1, 1, side)
    radius = (axis[:, None] ** 2 + axis**2).sqrt()
    images, names = [], []
    for patient in range(patients):
        size, grey = 0.4 + 0.3 * rng.random(), 0.2 + 0.6 * rng.random()
        for _ in range(per_patient):
            noise = torch.from_numpy(0.1 * rng.standard_normal((side, side))).float()
            images.append(torch.where(radius < size, grey, -0.8) + noise)
            names.append(f"{seed}-{patient}")
    return LoadedSlices(torch.stack(images)[:, None].clamp(-1, 1), None, tuple(names))


def test_parameters_and_multiply_adds_of_dcgan_are_those_counted_by_hand() -> None:
    generator, discriminator = sizes_of(small(), NOTHING_KNOWN)
    # 32 pixels, width 3: maps of 12, 6, 3 at 4, 8, 16 pixels; kernels of 4 x 4, no bias; two numbers a map for
    # batch normalization.
    layers = 8 * 12 * 16 + 12 * 6 * 16 + 6 * 3 * 16 + 3 * 16
    assert generator.parameters == generator.trained == layers + 2 * (12 + 6 + 3)
    # A transposed convolution multiplies each pixel that goes in with each weight.
    assert generator.multiply_adds == 16 * (8 * 12 + 12 * 6 * 4**2 + 6 * 3 * 8**2 + 3 * 16**2)
    layers = 3 * 16 + 3 * 6 * 16 + 6 * 12 * 16 + 12 * 16
    assert discriminator.parameters == layers + 2 * (6 + 12)
    # A convolution multiplies each weight once for each pixel that comes out.
    assert discriminator.multiply_adds == 16 * (3 * 16**2 + 3 * 6 * 8**2 + 6 * 12 * 4**2 + 12)


@pytest.mark.parametrize("family", ["vanilla", "wgan", "spectral", "r3"])
def test_every_family_has_its_parameters_counted(family: str) -> None:
    losses = {"wgan": {"kind": "wasserstein", "clip": 0.01}}
    experiment = small(family, loss=losses.get(family, {"kind": "hinge"}))
    found = sizes_of(experiment, NOTHING_KNOWN)
    for size, network in zip(
        found, (build_generator(experiment), build_discriminator(experiment)), strict=True
    ):
        assert size.parameters == sum(one.numel() for one in network.parameters())
        assert size.multiply_adds > 0


def test_the_bytes_are_those_of_a_training(tmp_path: Path) -> None:
    experiment, slices = small(images=16), slices_of(4)
    train(experiment, slices, tmp_path, CPU, Budget(None, 16))
    speed = measure_speed(experiment, CPU, slices, 0.1)
    assert speed.generator_bytes == (tmp_path / GENERATOR_FILE).stat().st_size
    # A training also has its history, and samples of some rows.
    assert speed.checkpoint_bytes == pytest.approx((tmp_path / CHECKPOINT_FILE).stat().st_size, rel=0.2)


def test_timed_steps_are_counted_in_blocks_by_the_clock() -> None:
    ticks = iter(range(10_000))
    speed = measure_speed(small(), CPU, None, seconds=30, clock=lambda: float(next(ticks)))
    # Each block takes one second of this clock; ten of them are the most.
    assert (speed.blocks, speed.seconds) == (10, 10)
    assert speed.images_per_second == speed.slowest == speed.fastest
    assert speed.images_per_second % 4 == 0
    assert speed.row_seconds == speed.checkpoint_seconds == 1
    assert speed.generated_per_second == 32


def test_a_short_training_is_timed_for_a_hundredth_of_it() -> None:
    ticks = iter(range(10_000))
    speed = measure_speed(small(), CPU, None, seconds=30, images=400, clock=lambda: float(next(ticks)))
    assert speed.blocks == 3


PENALTY = {"training": {"loss": {"kind": "relativistic", "gamma": [1, 1], "penalty_every": 8}}}
HEADS = {"network": {"family": "projected", "projection": {"stages": [1], "maps": 4, "heads_every": 8}}}


@pytest.mark.parametrize("changed", [PENALTY, HEADS], ids=["penalty", "frozen features"])
def test_a_block_holds_what_is_due_in_every_few_steps(
    changed: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = small("spectral").model_dump(mode="json")
    for section, values in changed.items():
        fields[section] |= values
    steps: list[int] = []
    from chestgan_core.training import batch_size as module

    real = module.step
    monkeypatch.setattr(module, "step", lambda *args: (steps.append(1), real(*args)))
    found = measure_speed(parse_experiment(fields, "small", "test"), CPU, None, seconds=0.01)
    assert len(steps) % 8 == 0
    assert len(steps) >= 8 * (1 + found.blocks)


@pytest.mark.parametrize("conditions", [{}, {"position": True, "tumour": {}}])
def test_noise_stands_in_for_slices_of_every_experiment(conditions: dict[str, Any]) -> None:
    fields = small().model_dump(mode="json") | {"conditions": conditions}
    if conditions:
        fields |= {"dataset": "phantom_tumours", "classes": ["A", "G"]}
    experiment = parse_experiment(fields, "small", "test")
    assert len(stand_in_slices(experiment)) >= 32
    assert measure_speed(experiment, CPU, None, 0.05).images_per_second > 0
    plan = make_plan(experiment, CPU, Prices(), seconds=0.05)
    assert plan.generator.parameters > 0


def speed_of(rate: float, row: float = 0.0, checkpoint: float = 0.0) -> Speed:
    return Speed(rate, rate, rate, 1.0, 10, 2.0, 0, "cpu", 1, "fp32", row, checkpoint, 1, 1, 100.0)


def test_hours_are_steps_rows_checkpoints_and_validations() -> None:
    experiment = small(validation={"every_images": 500, "images": 50})
    estimator = Estimator(experiment.training, speed_of(100, row=2, checkpoint=1), 5.0, Prices(), 0)
    # 10,000 images: 100 s of steps, ten rows of 2 s, ten checkpoints of 1 s, twenty validations of 5 s.
    assert estimator.of_images(10_000).hours * 3600 == pytest.approx(100 + 20 + 10 + 100)
    assert estimator.of_budget(Budget(minutes=230 / 60, images=None)).images == 10_000
    assert estimator.of_budget(Budget(minutes=1, images=10_000)).images < 10_000
    assert estimator.of_budget(Budget(minutes=60, images=10_000)).images == 10_000


@pytest.mark.parametrize(
    ("prices", "gpus", "cost"),
    [
        (Prices(), 1, None),
        (Prices(currency="EUR", machine_hour=3.0), 0, 3.0),
        (Prices(gpu_hour=2.0, cpu_hour=0.25, currency="EUR"), 4, 8.5),
        (Prices(cpu_hour=0.25, currency="EUR"), 0, 0.5),
    ],
)
def test_money_is_said_where_there_is_a_price(prices: Prices, gpus: int, cost: float | None) -> None:
    found = Estimator(small().training, speed_of(100), 0.0, prices, gpus).of_images(360_000)
    assert found.hours == pytest.approx(1)
    assert found.cost == (None if cost is None else pytest.approx(cost))


def test_the_floor_is_that_between_the_patients_of_both_sides() -> None:
    trained, held_out = slices_of(8, seed=1), slices_of(6, seed=2)
    facts = held_out_facts(trained, held_out, Histogram(), seed=0, images=500)
    assert (facts.judging, facts.trained, facts.borrowed, facts.images) == (6, 8, 0, 48)
    x, y = (Histogram().features(side.images) for side in (held_out, trained))
    rng = np.random.default_rng(0)
    at, of = rng.permutation(48)[:48], rng.permutation(64)[:48]
    drawn = resampling([held_out.patients[index] for index in at], 0)
    expected = kid(x[at], y[of], 0, drawn)
    assert expected.interval is not None
    assert facts.floor == pytest.approx(expected.value, rel=1e-4)
    assert facts.floor_half_width == pytest.approx(
        (expected.interval[1] - expected.interval[0]) / 2, rel=1e-4
    )


@pytest.mark.parametrize(("held_out", "judging", "borrowed"), [(1, 5, 4), (2, 6, 4), (5, 5, 0)])
def test_few_held_out_patients_borrow_some_who_are_trained_on(
    held_out: int, judging: int, borrowed: int
) -> None:
    facts = held_out_facts(slices_of(8, seed=1), slices_of(held_out, seed=2), Histogram(), seed=0)
    assert (facts.judging, facts.borrowed) == (judging, borrowed)
    assert facts.floor is not None
    for level in facts.levels:
        assert (level.smallest is None) or held_out > 1


def test_with_one_patient_on_each_side_it_says_why_nothing_can_be_said() -> None:
    facts = held_out_facts(slices_of(1, 12, seed=1), slices_of(1, 12, seed=2), Histogram(), seed=0)
    assert facts.floor is None
    assert "one patient" in facts.reason
    few = held_out_facts(slices_of(1, 3, seed=1), slices_of(1, 3, seed=2), Histogram(), seed=0)
    assert "at least 8" in few.reason


def test_stand_ins_are_farther_the_more_they_are_blurred() -> None:
    images = slices_of(4).images
    assert blurred(images, 1) is images
    apart = [float((blurred(images, factor) - images).abs().mean()) for factor in BLURS]
    assert apart == sorted(apart)
    assert apart[0] > 0


@pytest.fixture(scope="module")
def plan() -> Plan:
    experiment = small(validation={"every_images": 1000, "images": 8, "patience": 3})
    prices = Prices(currency="EUR", machine_hour=1.5)
    return make_plan(experiment, CPU, prices, slices_of(8, 3, seed=1), slices_of(6, 3, seed=2), seconds=0.1)


def test_a_plan_is_said_in_words_and_as_json(plan: Plan) -> None:
    text = as_text(plan)
    assert "24 slices of 8 patient(s) to train on, 18 slices of 6 patient(s) held out (files)" in text
    assert "floor x 1000" in text
    assert "efficientnet-lite0" in text
    assert "planned 4,000 images seen" in text
    assert "25,000,000 images seen" in text
    assert "EUR" in text
    assert "(estimate" in text
    fields = json.loads(json.dumps(plan.as_json(), allow_nan=False))
    assert fields["experiment"] == "small"
    assert fields["planned"]["images"] == 4000
    assert fields["planned"]["cost"] == pytest.approx(1.5 * fields["planned"]["hours"])
    assert all(len(line) < 400 for line in text.splitlines())


def test_no_patient_is_named(plan: Plan) -> None:
    said = as_text(plan) + json.dumps(plan.as_json())
    names = {*slices_of(8, seed=1).patients, *slices_of(6, seed=2).patients}
    assert not [name for name in names if name in said]


def test_without_a_price_no_money_is_said(plan: Plan) -> None:
    costless = replace(
        plan, currency="", planned=replace(plan.planned, cost=None),
        at_scale=tuple(replace(one, cost=None) for one in plan.at_scale),
    )  # fmt: skip
    assert "EUR" not in as_text(costless)


def test_the_set_takes_what_its_slices_take(plan: Plan) -> None:
    from chestgan_core.imaging.pictures import to_grey
    from chestgan_core.publishing.writing.png import encode_pngs

    files = encode_pngs(to_grey(slices_of(8, 3, seed=1).images), 8)
    assert plan.bytes.set == pytest.approx(200 * np.mean([len(file) for file in files]), rel=0.01)
    assert plan.bytes.of_slices


def test_epochs_need_the_number_of_slices() -> None:
    experiment = small(images=None, epochs=10)
    with pytest.raises(BadInput, match="10 epochs, and nothing says of how many slices"):
        make_plan(experiment, CPU, Prices(), seconds=0.05)
    facts = DataFacts("training set", SideCounts(3, 100), SideCounts(1, 20))
    known = make_plan(experiment, CPU, Prices(), data=facts, seconds=0.05)
    assert known.planned.images == 1000
    assert "slices were not looked at" in as_text(known)


def test_weights_that_are_missing_are_said_to_be() -> None:
    rates = measure_scoring(small(), ("efficientnet-lite0", "inception-v3"), CPU)
    assert (rates["efficientnet-lite0"] or 0) > 0
    if rates["inception-v3"] is None:
        experiment = small()
        fields = experiment.model_dump(mode="json")
        fields["evaluation"]["others"] = ["inception-v3"]
        plan = make_plan(parse_experiment(fields, "small", "test"), CPU, Prices(), seconds=0.05)
        assert "scoring by inception-v3: its weights are not on this machine" in as_text(plan)
