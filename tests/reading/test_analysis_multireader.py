"""Areas under the curves of several readers, beside published analyses and known truths."""

import math

import numpy as np
import pytest

from chestgan_core.reading.analysis.multireader import Scores, areas, draw, ends, t_quantile, variance
from tests.reading.simulated_study import Skill, simulated_scores
from tests.reading.van_dyke import CINE, SPIN_ECHO


def van_dyke(ratings: tuple[tuple[str, str], ...]) -> Scores:
    values = np.array([[int(digit) - 1 for digit in without + having] for without, having in ratings])
    return Scores(values, np.arange(114) >= 69, np.arange(114), 5)


def each_area(scores: Scores) -> np.ndarray:
    counts, side = scores.one_hot(), scores.synthetic
    return areas(counts[:, side].sum(axis=1), counts[:, ~side].sum(axis=1))


# From the analyses of these data by OR-DBM MRMC 2.51 (University of Iowa), RJafroc and MRMCaov, which agree: area of
# each reader, mean square of readers, covariance, standard error, degrees of freedom, 95 % interval.
PUBLISHED = [
    (
        SPIN_ECHO,
        (0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066),
        (0.0030826287, 0.00048396180, 0.033173597, 12.744648, 0.82522360, 0.96885048),
    ),
    (
        CINE,
        (0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169),
        (0.0013046019, 0.00020418785, 0.021566368, 12.710190, 0.89413783, 0.98753689),
    ),
]


@pytest.mark.parametrize(("ratings", "of_readers", "analysis"), PUBLISHED, ids=["spin echo", "cine"])
def test_the_data_of_van_dyke_give_the_published_areas_and_analysis_of_variance(
    ratings: tuple[tuple[str, str], ...], of_readers: tuple[float, ...], analysis: tuple[float, ...]
) -> None:
    scores = van_dyke(ratings)
    assert each_area(scores) == pytest.approx(of_readers, abs=1e-8)
    found = variance(scores)
    assert found is not None
    assert (
        found.between_readers,
        found.covariance,
        found.standard_error,
        found.degrees_of_freedom,
        found.low,
        found.high,
    ) == pytest.approx(analysis, rel=1e-6)


@pytest.mark.parametrize(("ratings", "of_readers", "analysis"), PUBLISHED, ids=["spin echo", "cine"])
def test_the_bootstrap_over_readers_and_cases_has_about_the_published_standard_error(
    ratings: tuple[tuple[str, str], ...], of_readers: tuple[float, ...], analysis: tuple[float, ...]
) -> None:
    scores = van_dyke(ratings)
    counts, side = scores.one_hot(), scores.synthetic
    draws = draw(5, side, scores.units, seed=1)
    assert draws is not None
    means = draws.mean(areas(draws.counts(counts, side), draws.counts(counts, ~side)))
    # It also counts what reader and case do together, hence somewhat more.
    assert analysis[2] < means.std() < 1.2 * analysis[2]
    assert means.mean() == pytest.approx(np.mean(of_readers), abs=0.005)
    interval = ends(means)
    assert interval is not None
    assert interval[0] < np.mean(of_readers) < interval[1]


def test_an_area_is_the_share_of_pairs_in_the_right_order_and_ties_count_a_half() -> None:
    random = np.random.default_rng(3)
    synthetic, real = random.integers(0, 10, 37), random.integers(0, 10, 23)
    pairs = [(s > r) + 0.5 * (s == r) for s in synthetic for r in real]
    counts = [np.bincount(side, minlength=10).astype(float) for side in (synthetic, real)]
    assert areas(*counts) == pytest.approx(np.mean(pairs))
    assert math.isnan(areas(np.zeros(10), counts[1]))


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    # Tables of Student's t, 97.5 %.
    [(1, 12.7062), (2, 4.30265), (5, 2.57058), (12.5, 2.16916), (30, 2.04227), (1e9, 1.95996), (math.inf, 1.95996)],
)  # fmt: skip
def test_quantiles_of_t_are_those_of_the_tables(freedom: float, quantile: float) -> None:
    assert t_quantile(freedom) == pytest.approx(quantile, abs=2e-4)


@pytest.mark.parametrize(
    ("skill", "readers", "patients", "per_patient", "synthetic"),
    [
        (Skill(0.0, spread=0.2), 8, 20, 3, 60),
        (Skill(0.6, spread=0.3), 6, 20, 5, 100),
        (Skill(1.2, spread=0.2), 10, 30, 2, 60),
    ],
    ids=["guessing", "some skill", "good readers"],
)
def test_intervals_of_a_hundred_simulated_studies_hold_the_known_area_about_95_times(
    skill: Skill, readers: int, patients: int, per_patient: int, synthetic: int
) -> None:
    held_by_bootstrap = held_by_variance = 0
    for seed in range(100):
        scores = simulated_scores(seed, skill, readers, patients, per_patient, synthetic)
        counts, side = scores.one_hot(), scores.synthetic
        draws = draw(readers, side, scores.units, seed, resamples=500)
        assert draws is not None
        drawn = ends(draws.mean(areas(draws.counts(counts, side), draws.counts(counts, ~side))))
        assert drawn is not None
        held_by_bootstrap += drawn[0] <= skill.area <= drawn[1]
        analysed = variance(scores)
        assert analysed is not None
        held_by_variance += analysed.low <= skill.area <= analysed.high
    # 95 of 100 with a standard deviation of 2.2, and a little less for few readers or patients.
    assert 87 <= held_by_bootstrap <= 100
    assert 87 <= held_by_variance <= 100


def test_images_of_one_patient_are_drawn_together_which_makes_the_interval_wider() -> None:
    widths = []
    for together in (True, False):
        scores = simulated_scores(
            4, Skill(0.6, spread=0.0, shared=0.9), patients=6, per_patient=20, synthetic=200
        )
        units = scores.units if together else np.arange(len(scores.units))
        counts, side = scores.one_hot(), scores.synthetic
        draws = draw(6, side, units, seed=0)
        assert draws is not None
        drawn = ends(draws.mean(areas(draws.counts(counts, side), draws.counts(counts, ~side))))
        assert drawn is not None
        widths.append(drawn[1] - drawn[0])
    assert widths[0] > 1.5 * widths[1]


def test_there_is_no_interval_from_a_single_patient_and_none_of_variance_from_a_single_reader() -> None:
    alone = simulated_scores(0, Skill(0.5), readers=3, patients=1, per_patient=10, synthetic=10)
    assert draw(3, alone.synthetic, alone.units, seed=0) is None
    assert variance(simulated_scores(0, Skill(0.5), readers=1)) is None


def test_readers_who_left_images_out_count_with_those_that_they_answered() -> None:
    scores = simulated_scores(0, Skill(1.0), readers=4)
    values = scores.values.copy()
    values[0, ::3] = -1
    some = Scores(values, scores.synthetic, scores.units, scores.steps)
    assert each_area(some)[1:] == pytest.approx(each_area(scores)[1:])
    kept = np.arange(values.shape[1]) % 3 > 0
    only = Scores(values[:, kept], scores.synthetic[kept], scores.units[kept], scores.steps)
    assert each_area(some)[0] == pytest.approx(each_area(only)[0])
