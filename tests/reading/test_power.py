"""The size of a reader study, against simulated studies that are analysed as real ones."""

import numpy as np
import pytest

from chestgan_core.reading.analysis.multireader import areas, variance
from chestgan_core.reading.design import images_for
from chestgan_core.reading.power import (
    Readers,
    images_to_rule_out,
    images_to_tell,
    variance_of_area,
)
from tests.reading.simulated_study import Skill, simulated_scores

STUDIES = 80


def simulated_intervals(skill: Skill, readers: int, images: int) -> list[tuple[float, float]]:
    """Of studies in which every real image is of another patient."""
    found = []
    for seed in range(STUDIES):
        analysed = variance(simulated_scores(seed, skill, readers, images, 1, images))
        assert analysed is not None
        found.append((analysed.low, analysed.high))
    return found


def readers_of(skill: Skill, readers: int = 20, images: int = 200) -> Readers:
    """What is taken of such readers, measured in one large study of them."""
    scores = simulated_scores(10**6, skill, readers, images, 1, images)
    analysed = variance(scores)
    assert analysed is not None
    alone = variance_of_area(skill.area, images)
    shared = analysed.covariance / alone
    return Readers(max(analysed.between_readers - (1 - shared) * alone, 0.0) ** 0.5, shared)


def test_the_variance_of_an_area_is_that_of_simulated_readers() -> None:
    skill, images = Skill(0.6, spread=0.0), 80
    found = []
    for seed in range(300):
        scores = simulated_scores(seed, skill, 1, images, 1, images)
        counts, side = scores.one_hot()[0], scores.synthetic
        found.append(float(areas(counts[side].sum(axis=0), counts[~side].sum(axis=0))))
    assert np.var(found) == pytest.approx(variance_of_area(skill.area, images), rel=0.2)


@pytest.mark.parametrize(("skill", "readers"), [(Skill(0.7, spread=0.2), 5), (Skill(1.3, spread=0.3), 3)])
def test_the_images_that_it_names_tell_in_about_80_of_100_studies(skill: Skill, readers: int) -> None:
    images = images_to_tell(skill.area, readers, readers_of(skill))
    assert images is not None
    told = [low > 0.5 for low, _ in simulated_intervals(skill, readers, images)]
    assert 0.68 <= np.mean(told) <= 0.92  # 80 of 100 with a standard deviation of 4.5


def test_the_images_that_it_names_rule_a_difference_out_when_readers_guess() -> None:
    skill = Skill(0.0, spread=0.0)
    images = images_to_rule_out(6, readers_of(skill), margin=0.12)
    assert images is not None
    assert images < (images_to_rule_out(6) or 0)  # a wider margin takes fewer
    within = [low > 0.38 and high < 0.62 for low, high in simulated_intervals(skill, 6, images)]
    assert 0.68 <= np.mean(within) <= 0.92


def test_more_readers_and_clearer_differences_take_fewer_images() -> None:
    by_readers = [images_to_tell(0.65, readers) for readers in (3, 5, 10)]
    assert None not in by_readers
    assert by_readers == sorted(by_readers, key=lambda count: -(count or 0))
    by_area = [images_to_tell(area, 5) for area in (0.6, 0.7, 0.8)]
    assert by_area == sorted(by_area, key=lambda count: -(count or 0))
    assert images_to_tell(0.55, 2) is None  # two readers differ by more than that


def test_one_reader_takes_about_as_many_images_as_the_accuracy_near_chance() -> None:
    """For a yes or no, 386 images give +- 5 points; an area counts ten steps and is a little more exact."""
    images = images_to_tell(0.57, 1)
    assert images is not None
    assert 0.5 * images_for(0.07 * 1.96 / 2.8) < 2 * images < 2 * images_for(0.07 * 1.96 / 2.8)


@pytest.mark.parametrize(("area", "readers"), [(0.5, 3), (1.0, 3), (0.7, 0)])
def test_what_no_study_can_be_planned_for_is_refused(area: float, readers: int) -> None:
    with pytest.raises(ValueError, match="needs an area between"):
        images_to_tell(area, readers)
