"""Numbers of pixels that separate the two sides without being realism."""

import dataclasses

import numpy as np
import pytest

from chestgan_core.reading.images.giveaways import NUMBERS, Giveaway, giveaways
from chestgan_core.reading.study_key import KeyRow, StudyKey
from tests.reading.published import study_in_memory

IMAGES = 60
SYNTHETIC = np.arange(IMAGES) % 2 == 1


def found(change: object) -> dict[str, Giveaway]:
    """The same noise on both sides, of which `change` does something to the synthetic half."""
    pictures = np.random.default_rng(0).integers(10, 240, (IMAGES, 16, 16), dtype=np.uint8)
    pictures[SYNTHETIC] = [change(picture) for picture in pictures[SYNTHETIC]]  # type: ignore[operator]
    study = dataclasses.replace(study_in_memory(IMAGES, warm_up=0), pictures=pictures)
    rows = tuple(KeyRow(item=at, truth="synthetic" if of else "real") for at, of in enumerate(SYNTHETIC))
    return {one.what: one for one in giveaways(study, StudyKey(study="study", version="v1", rows=rows))}


def framed(picture: np.ndarray) -> np.ndarray:
    picture = picture.copy()
    picture[[0, -1]] = 20
    picture[:, [0, -1]] = 20
    return picture


CHANGES = {
    "grey of the outermost pixels": framed,
    "step between the outermost pixels and the next": framed,
    "darkest grey": lambda picture: np.maximum(picture, 40),
    "brightest grey": lambda picture: np.minimum(picture, 200),
    "number of grey levels": lambda picture: picture // 16 * 16,
    "share of black pixels": lambda picture: np.where(picture < 30, 0, picture),
    "share of white pixels": lambda picture: np.where(picture > 220, 255, picture),
    "mean grey": lambda picture: picture + 15,
}


@pytest.mark.parametrize("what", NUMBERS)
def test_a_side_with_something_of_its_own_is_named(what: str) -> None:
    one = found(CHANGES[what])[what]
    assert one.is_suspicious
    assert one.real != one.synthetic
    assert what in one.line


def test_equal_sides_have_nothing_to_look_at_and_everything_is_measured() -> None:
    both = found(lambda picture: picture)
    assert both.keys() == NUMBERS.keys()
    assert not [one for one in both.values() if one.is_suspicious]
    assert both["share of black pixels"].area == 0.5
