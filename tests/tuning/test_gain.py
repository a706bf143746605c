"""Whether a study is believed: rarely where nothing is better, always where much is, and the sentence says which."""

import numpy as np
import pytest

from chestgan_core.config.experiment import Provenance
from chestgan_core.tuning.gain import LEVEL, error_of_difference, gain, needed_gain


def provenance(kid: float, initial: float | None, error: float | None, trials: int = 20) -> Provenance:
    return Provenance(
        experiment="small", study="s", trial=3, trials=trials, kid=kid, initial=initial, error=error, floor=0.01,
        extractor="an extractor", images=8, training_set="v1", budget="64 images",
    )  # fmt: skip


@pytest.mark.parametrize("trials", [2, 5, 20, 100])
def test_of_studies_in_which_nothing_is_better_few_are_believed(trials: int) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0.4, 0.02, (20_000, trials))
    error = error_of_difference(0.02, 0.02)
    assert error is not None
    believed = scores[:, 0] - scores[:, 1:].min(axis=1) > needed_gain(error, trials)
    assert believed.mean() < LEVEL + 0.005  # chance of 20,000 studies
    assert believed.mean() > LEVEL / 10  # and not never


@pytest.mark.parametrize(
    ("kid", "initial", "error", "shown", "said"),
    [
        (0.2, 0.5, 0.02, True, "the best of 20 trials has a KID x 1000 of 200.0, 300.0 lower than the experiment"),
        (0.47, 0.5, 0.02, False, "30.0 lower than the experiment as it is, which may be chance: up to 55.8 would be"),
        (0.5, 0.5, 0.02, False, "nothing better"),
        (-0.001, 0.5, 0.02, True, "501.0 lower"),
        (0.2, None, None, False, "no score of the unchanged experiment"),
        (0.2, 0.5, None, False, "does not say how exact"),
    ],
)  # fmt: skip
def test_a_finding_is_believed_beyond_its_error(
    kid: float, initial: float | None, error: float | None, shown: bool, said: str
) -> None:
    found, why = gain(provenance(kid, initial, error))
    assert found is shown
    assert said in why


def test_more_trials_need_a_larger_gain() -> None:
    needed = [needed_gain(0.01, trials) for trials in (1, 2, 5, 20, 100)]
    assert needed[0] == needed[1]
    assert needed[1:] == sorted(needed[1:])
