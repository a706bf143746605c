"""The score of the thesis system: its published numbers, what is left out, and weights of one's own."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.errors import BadInput
from chestgan_core.evaluation.thesis.score import (
    LPIPS,
    PUBLISHED,
    SHIPPED,
    Weights,
    grade,
    load_weights,
    thesis_score,
)

DCGAN = {measure: values.get("DCGAN") for measure, values in PUBLISHED.items()}


def weights(**changes: object) -> Weights:
    return Weights.model_validate({**yaml.safe_load(SHIPPED.read_text()), **changes})


def test_the_published_numbers_of_the_dcgan_of_the_thesis_system_score_four() -> None:
    score = thesis_score(DCGAN, load_weights())
    assert score.unrounded == pytest.approx(3.6, abs=0.05)
    assert score.value == 4
    assert score.note == "all parts measured"
    points = {part.measure: part.points for part in score.parts}
    assert points == pytest.approx(
        {
            "discriminator accuracy": 9.152,
            "generator accuracy": 3.928,
            "SSIM": 2.667,
            "PSNR": 4,
            "LPIPS": 0.34,
        }
    )


def test_the_scores_of_all_published_models_stand_beside_it() -> None:
    score = thesis_score({"SSIM": 0.5, "PSNR": 26.0}, load_weights())
    assert score.published == {"DCGAN": 4, "WGAN": 2, "Vanilla": 3}
    assert score.published_unweighted == {"DCGAN": 4, "WGAN": 2, "Vanilla": 3}
    assert score.out_of == 10


@pytest.mark.parametrize(
    ("decibels", "points"), [(2.2, 4), (19.9, 4), (20, 6), (24.9, 6), (25, 8), (29.9, 8), (30, 10), (100, 10)]
)
def test_psnr_counts_in_steps(decibels: float, points: float) -> None:
    assert load_weights().psnr.points(decibels) == points


def test_what_could_not_be_measured_is_left_out_and_the_rest_counts_as_the_whole() -> None:
    score = thesis_score({**DCGAN, LPIPS[0]: None}, load_weights())
    # (0.15 x 9.152 + 0.15 x 3.928 + 0.2 x 2.667 + 0.25 x 4) / 0.75
    assert score.unrounded == pytest.approx(3.4954 / 0.75)
    assert sum(part.effective_weight for part in score.parts) == pytest.approx(1)
    lpips = score.parts[-1]
    assert (lpips.measure, lpips.points, lpips.effective_weight, lpips.weight) == ("LPIPS", None, 0, 0.25)
    assert "without LPIPS" in score.note
    assert "the other weights (0.75) were scaled to 1" in score.note


def test_nothing_measured_is_no_score_and_not_the_lowest() -> None:
    score = thesis_score({}, load_weights())
    assert (score.value, score.unrounded) == (None, None)
    assert score.note.startswith("no score: nothing that has a weight was measured")


def test_no_score_falls_below_one() -> None:
    everything_wrong = {
        "discriminator accuracy": 0.0,
        "generator accuracy": 0.0,
        "SSIM": -1.0,
        "LPIPS on VGG": 3.0,
    }
    assert thesis_score(everything_wrong, load_weights()).value == 1
    lpips_alone = thesis_score({"LPIPS on VGG": 3.0}, load_weights())
    assert (lpips_alone.value, lpips_alone.unrounded) == (1, 1.0)
    assert (lpips_alone.unweighted, lpips_alone.unweighted_unrounded) == (1, 1.0)


fractions = st.floats(0, 1)


@given(
    values=st.fixed_dictionaries(
        {
            "discriminator accuracy": st.none() | fractions,
            "generator accuracy": st.none() | fractions,
            "SSIM": st.none() | st.floats(-1, 1),
            "PSNR": st.none() | st.floats(0, 100),
            "LPIPS on VGG": st.none() | st.floats(0, 5),
            "LPIPS on AlexNet": st.none() | st.floats(0, 5),
        }
    )
)
def test_every_score_lies_between_one_and_ten(values: dict[str, float | None]) -> None:
    score = thesis_score(values, load_weights())
    if score.value is None or score.unrounded is None:
        assert all(value is None for value in values.values())
    else:
        assert 1 <= score.unrounded <= 10
        assert abs(score.value - score.unrounded) <= 0.5
        assert sum(part.effective_weight for part in score.parts) == pytest.approx(1)
    points = [part.points for part in score.parts if part.points is not None]
    assert (score.unweighted_unrounded is None) == (not points)
    if points:
        assert score.unweighted_unrounded == pytest.approx(min(max(sum(points) / len(points), 1), 10))
        assert score.unweighted == round(score.unweighted_unrounded)
    assert all((part.grade is None) == (part.value is None) for part in score.parts)


def test_the_unweighted_score_is_the_mean_of_the_points_that_there_are() -> None:
    score = thesis_score(DCGAN, load_weights())
    assert score.unweighted_unrounded == pytest.approx((9.152 + 3.928 + 2.667 + 4 + 0.34) / 5)
    assert score.unweighted == 4
    # A critic has no accuracies: its PDF counts them as 0, here they are left out.
    critic = thesis_score({"SSIM": 0.5, "PSNR": 30.0, LPIPS[0]: 0.0}, load_weights())
    assert critic.unweighted_unrounded == pytest.approx((5 + 10 + 10) / 3)
    assert thesis_score({}, load_weights()).unweighted is None


@pytest.mark.parametrize(
    ("measure", "good", "medium", "bad"),
    [
        ("discriminator accuracy", 0.9, 0.7, 0.699),
        ("generator accuracy", 1.0, 0.899, 0.0),
        ("SSIM", 0.9, 0.7, -0.2),
        ("PSNR", 30.0, 25.0, 24.99),
        ("LPIPS on VGG", 0.2, 0.5, 0.501),
        ("LPIPS on AlexNet", 0.0, 0.201, 0.76),
    ],
)
def test_values_have_the_grades_of_the_pdf(measure: str, good: float, medium: float, bad: float) -> None:
    assert [grade(measure, value) for value in (good, medium, bad)] == ["good", "medium", "bad"]


def test_what_was_not_measured_and_what_it_does_not_grade_has_no_grade() -> None:
    assert grade("PSNR", None) is None
    assert grade("Wasserstein estimate", -12.3) is None


def test_lpips_counts_on_the_network_of_the_thesis_system_where_it_was_measured() -> None:
    both = thesis_score({**DCGAN, LPIPS[1]: 0.1}, load_weights())
    assert both.parts[-1].value == 0.4830
    assert both.note == "all parts measured"
    other = thesis_score({**DCGAN, LPIPS[0]: None, LPIPS[1]: 0.1}, load_weights())
    assert (other.parts[-1].value, other.parts[-1].points, other.parts[-1].grade) == (0.1, 8, "good")
    assert other.note == "all parts measured; LPIPS on AlexNet counts, as it was not measured on VGG"


def test_weights_of_ones_own_are_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = yaml.safe_load(SHIPPED.read_text())
    own["lpips"]["weight"], own["ssim"]["weight"] = 0.0, 0.45
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(own))
    monkeypatch.setenv("CHESTGAN_THESIS_WEIGHTS", str(path))
    score = thesis_score({**DCGAN, LPIPS[0]: None}, load_weights())
    assert score.unrounded == pytest.approx(0.15 * 9.152 + 0.15 * 3.928 + 0.45 * 2.667 + 0.25 * 4)
    # A part without a weight is not missed.
    assert score.note == "all parts measured"


@pytest.mark.parametrize(
    ("changed", "to", "message"),
    [
        ("weight: 0.2,", "weight: 0.3,", "the weights add up to 1.1, not 1"),
        ("weight: 0.2,", "weight: -0.2,", r"line 7: ssim.weight: Input should be greater than or equal to 0"),
        ("line: [10, -10]", "", r"line 9: lpips: give line or steps, one of them"),
        ("[[30, 10], [25, 8], [20, 6]]", "[[20, 6], [30, 10]]", "steps: go from the highest value down"),
        ("[30, 10]", "[30, 11]", r"psnr.steps.0.1: Input should be less than or equal to 10"),
        ("lpips:", "lpipz:", "lpipz: is not a field here, did you mean lpips"),
        ("lpips:", "- lpips:", "is not YAML"),
    ],
)
def test_weights_that_are_wrong_are_refused_with_the_field(
    changed: str, to: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(SHIPPED.read_text().replace(changed, to))
    monkeypatch.setenv("CHESTGAN_THESIS_WEIGHTS", str(path))
    with pytest.raises(BadInput, match=message) as caught:
        load_weights()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_weights_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_THESIS_WEIGHTS", str(tmp_path / "none.yaml"))
    with pytest.raises(BadInput, match=r"CHESTGAN_THESIS_WEIGHTS: .*none\.yaml is not a file"):
        load_weights()
