"""Groups of patients: measures are those of the whole comparison, and only a forgotten group is found to be worse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chestgan_core.metrics.distances import mmd2
from chestgan_core.metrics.groups import (
    Surroundings,
    group_measures,
    rest_of,
    surroundings,
    worse_by_chance,
)
from chestgan_core.metrics.precision_recall import precision_recall

DIMENSION = 8


def cohort(
    patients: int, images: int, seed: int, centre: float = 0.0, spread: float = 0.5, prefix: str = "P"
) -> tuple[np.ndarray, list[str]]:
    """Images of patients who differ from each other, around a centre: (patients * images, DIMENSION)."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((patients, DIMENSION)) * spread + centre
    points = means.repeat(images, axis=0) + rng.standard_normal((patients * images, DIMENSION))
    return points.astype(np.float32), [f"{prefix}{at // images}" for at in range(patients * images)]


def two_groups(seed: int = 0, forgotten: bool = True) -> tuple[Surroundings, list[np.ndarray]]:
    """Ten patients of group A and ten of B, two units apart. The generator makes A; both, unless B is forgotten."""
    a, of_a = cohort(10, 10, seed, prefix="A")
    b, of_b = cohort(10, 10, seed + 1, centre=2.0, prefix="B")
    made = (
        [cohort(50, 2, seed + 2)[0]]
        if forgotten
        else [cohort(50, 2, seed + at, at * 1.0)[0] for at in (2, 4)]
    )
    if not forgotten:
        made = [cohort(50, 2, seed + 2)[0], cohort(50, 2, seed + 3, centre=2.0)[0]]
    labels = ["a"] * 100 + ["b"] * 100
    around = surroundings(np.concatenate([a, b]), np.concatenate(made), of_a + of_b, [labels])
    return around, [np.array(labels) == name for name in "ab"]


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_each_measure_of_all_images_is_that_of_the_whole_comparison(seed: int) -> None:
    real, patients = cohort(6, 10, seed)
    fake, _ = cohort(5, 9, seed + 1, centre=0.7)
    around = surroundings(real, fake, patients, [["a"] * 30 + ["b"] * 30])
    everyone = np.ones(60, bool)
    found = group_measures(around, everyone, seed)
    assert found is not None
    assert found.kid.value == pytest.approx(mmd2(real, fake), abs=1e-4)
    assert found.coverage.value == precision_recall(real, fake).coverage
    nearest = np.linalg.norm(real[:, None] - fake[None], axis=2).min(axis=1)
    assert around.synthetic == pytest.approx(nearest, abs=1e-3)
    of_others = [
        min(np.linalg.norm(x - y) for y, who in zip(real, patients, strict=True) if who != patients[at])
        for at, x in enumerate(real)
    ]
    assert found.distance is not None
    assert found.distance.value == pytest.approx(nearest.sum() / sum(of_others), rel=1e-4)
    assert (found.patients, found.images, found.kid_floor) == (6, 60, None)


def test_the_kid_of_a_group_and_its_floor_are_those_of_its_images() -> None:
    real, patients = cohort(6, 10, 3)
    fake, _ = cohort(5, 9, 4, centre=0.7)
    # Patient P2 has images of both groups: in the floor of either it is on neither side.
    labels = np.array(["a"] * 25 + ["b"] * 35)
    around = surroundings(real, fake, patients, [labels.tolist()])
    for name, strangers in (("a", slice(30, 60)), ("b", slice(0, 20))):
        found = group_measures(around, labels == name, 0)
        assert found is not None
        assert found.kid.value == pytest.approx(mmd2(real[labels == name], fake), abs=1e-4)
        assert found.kid_floor == pytest.approx(mmd2(real[labels == name], real[strangers]), abs=1e-4)
        assert found.kid.interval is not None
        assert found.kid.interval[0] < found.kid.value < found.kid.interval[1]


def test_the_forgotten_group_is_farther_less_covered_and_worse_than_by_chance() -> None:
    around, (a, b) = two_groups()
    of_a, of_b = group_measures(around, a, 0), group_measures(around, b, 0)
    assert of_a is not None
    assert of_b is not None
    assert of_a.distance is not None
    assert of_b.distance is not None
    assert of_b.kid.value > 5 * of_a.kid.value
    assert of_b.coverage.value < of_a.coverage.value
    assert of_b.distance.value > of_a.distance.value
    (p,) = worse_by_chance(around, [[a, b]], seed=0)
    assert (p[0] > 0.5).all()  # who is remembered better is not worse
    assert (p[1] < 0.01).all()  # coverage and distance
    rest = rest_of(around, b, 0)
    assert rest is not None
    assert rest[0].value == of_a.coverage.value  # the rest is A
    assert of_b.coverage.interval is not None
    assert rest[0].interval is not None
    assert of_b.coverage.interval[1] < rest[0].interval[0]


def test_where_both_are_made_neither_is_worse() -> None:
    around, groups = two_groups(forgotten=False)
    (p,) = worse_by_chance(around, [groups], seed=0)
    assert (p > 0.05).all()


def test_random_groups_are_found_worse_in_about_one_of_twenty_reports_however_many_there_are() -> None:
    found = 0
    for seed in range(60):
        real, patients = cohort(12, 8, seed, spread=1.0)
        around = surroundings(real, cohort(10, 8, seed + 1000, centre=0.5)[0], patients)
        rng = np.random.default_rng(seed)
        kinds = []
        for _ in range(5):  # kinds of three groups each, patients in a random one
            belongs = rng.permutation(np.arange(12) % 3)[around.patients]
            kinds.append([belongs == group for group in range(3)])
        found += any((p <= 0.05).any() for p in worse_by_chance(around, kinds, seed))
    assert found <= 8  # 3 expected; more than 8 has a probability below 0.3 %


def test_too_small_a_group_is_not_measured_or_not_tested() -> None:
    real, patients = cohort(6, 10, 0)
    labels = np.array(["few"] * 7 + ["x"] * 3 + ["two"] * 20 + ["rest"] * 30)
    around = surroundings(real, real[::2] + 9, patients, [labels.tolist()])
    groups = [labels == name for name in ("few", "x", "two", "rest")]
    assert group_measures(around, groups[0], 0) is None
    (p,) = worse_by_chance(around, [groups], seed=0)
    assert (p[:3] == 1).all()  # seven images; three images; two patients
    alone = group_measures(around, np.arange(60) < 10, 0)  # one patient
    assert alone is not None
    assert alone.kid.interval is None
    assert alone.coverage.interval is None


def test_the_same_seed_gives_the_same_numbers_and_the_order_of_images_does_not_matter() -> None:
    real, patients = cohort(5, 10, 7)
    fake, _ = cohort(5, 9, 8)
    order = np.random.default_rng(0).permutation(50)
    once = group_measures(surroundings(real, fake, patients), np.ones(50, bool), 3)
    again = group_measures(
        surroundings(real[order], fake, [patients[at] for at in order]), np.ones(50, bool), 3
    )
    assert once is not None
    assert again is not None
    assert once.coverage == again.coverage
    assert once.kid.value == pytest.approx(again.kid.value)
    assert once.kid.interval == pytest.approx(again.kid.interval)


def test_one_patient_or_too_few_images_are_refused() -> None:
    real, patients = cohort(2, 4, 0)
    with pytest.raises(ValueError, match="two patients"):
        surroundings(real, real, ["P"] * 8)
    with pytest.raises(ValueError, match="needs more than 5 real"):
        surroundings(real[:5], real, patients[:5])
    with pytest.raises(ValueError, match="divides images"):
        group_measures(surroundings(real.repeat(5, 0), real, [p for p in patients for _ in range(5)]),
                       np.arange(40) < 12, 0)  # fmt: skip
