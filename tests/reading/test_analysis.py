"""The analysis of a study: what counts, what is compared with what, and what is said about it."""

import json
from typing import Any

import numpy as np
import pytest

from chestgan_core.errors import BadInput
from chestgan_core.reading.analysis.analyse import analyse
from chestgan_core.reading.analysis.finding import MARGIN
from chestgan_core.reading.analysis.proportions import cohen_kappa, fleiss, proportion
from chestgan_core.reading.analysis.result import Interval, StudyResult
from chestgan_core.reading.answers import Answer, StudyAnswers
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.study_key import StudyKey
from tests.reading.simulated_study import WARM_UP, Skill, simulated_study

Study = tuple[StudyDesign, StudyKey, StudyAnswers]

# Table 1 of Fleiss, Psychological Bulletin 76 (1971): 30 patients, how many of six psychiatrists chose each of five
# diagnoses.
FLEISS = """
    00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
    00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""


def with_answers(study: Study, **change: Any) -> Study:
    design, key, answers = study
    return design, key, answers.model_copy(update=change)


def only(study: Study, keep: Any) -> Study:
    """Readers who lose answers did not finish."""
    kept = tuple(one for one in study[2].answers if keep(one))
    counts = {one.reader: sum(kept_one.reader == one.reader for kept_one in kept) for one in study[2].readers}
    readers = tuple(
        one.model_copy(update={"finished": counts[one.reader] == one.presentations})
        for one in study[2].readers
    )
    return with_answers(study, answers=kept, readers=readers)


def changed(study: Study, change: Any) -> Study:
    return with_answers(
        study, answers=tuple(one.model_copy(update=change(one) or {}) for one in study[2].answers)
    )


@pytest.fixture(scope="module")
def study() -> Study:
    return simulated_study()


@pytest.fixture(scope="module")
def result(study: Study) -> StudyResult:
    return analyse(*study)


def test_the_known_area_of_a_simulated_study_lies_in_its_interval(result: StudyResult) -> None:
    assert result.roc is not None
    interval = result.roc.area.interval
    assert interval is not None
    assert interval.low < Skill(0.5).area < interval.high
    assert (result.roc.readers, result.roc.synthetic_images, result.roc.real_images, result.roc.patients) == (
        6, 40, 40, 10,
    )  # fmt: skip
    check = result.roc.cross_check
    assert check is not None
    assert check.interval.high - check.interval.low == pytest.approx(interval.high - interval.low, rel=0.25)


def test_a_result_is_plain_data_that_comes_back_from_json_and_the_same_answers_give_the_same(
    study: Study, result: StudyResult
) -> None:
    text = result.model_dump_json()
    assert "NaN" not in text
    assert StudyResult.model_validate_json(text) == result
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
    shuffled = with_answers(study, answers=study[2].answers[::-1], readers=study[2].readers[::-1])
    assert analyse(*shuffled) == result
    assert analyse(*study, seed=1).roc != result.roc


def test_verdicts_are_counted_against_the_truth_with_synthetic_as_the_positive_finding(
    study: Study, result: StudyResult
) -> None:
    truth = {row.item: row.truth for row in study[1].rows}
    main = [one for one in study[2].answers if one.part == "main"]
    called = [(truth[one.item], one.verdict) for one in main]
    pooled = result.confusion
    assert pooled.synthetic_called_synthetic == called.count(("synthetic", "synthetic"))
    assert pooled.real_called_synthetic == called.count(("real", "synthetic"))
    assert pooled.sensitivity.total == truth_count(study, "synthetic") * 6
    assert pooled.specificity.count == called.count(("real", "real"))
    assert pooled.accuracy.count == sum(one == other for one, other in called)
    assert sum(one.accuracy.count for one in result.confusion_by_reader) == pooled.accuracy.count
    assert sum(one.accuracy.count for one in result.confusion_by_class) == pooled.accuracy.count
    assert [one.label for one in result.confusion_by_class] == ["A", "G"]
    assert [one.label for one in result.confusion_by_level] == ["lower third", "middle third", "upper third"]
    # Only real slices have a level.
    assert sum(one.specificity.total for one in result.confusion_by_level) == pooled.specificity.total
    assert all(one.sensitivity.value is None for one in result.confusion_by_level)


def truth_count(study: Study, truth: str) -> int:
    return sum(row.truth == truth and not row.warm_up for row in study[1].rows)


def test_warm_ups_never_count_and_second_answers_only_for_the_agreement_with_oneself(
    study: Study, result: StudyResult
) -> None:
    def spoiled(one: Answer) -> dict[str, Any]:
        if one.part == "main":
            return {}
        other = "real" if one.verdict == "synthetic" else "synthetic"
        return {"verdict": other, "rating": 11 - (one.rating or 0), "seconds": 999.0}

    found = analyse(*changed(study, spoiled))
    same = ("confusion", "roc", "ratings", "agreement", "drift", "seconds", "accuracy_over_readers")
    for name in same:
        assert getattr(found, name) == getattr(result, name), name
    assert (result.answers, result.repeated, result.warm_up) == (6 * 80, 6 * 8, 6 * WARM_UP)
    assert result.self_agreement.same_verdict.value == 1
    assert result.self_agreement.kappa == 1
    assert found.self_agreement.same_verdict.value == 0
    kappa = found.self_agreement.kappa
    assert kappa is not None
    assert kappa < 0


def test_unfinished_readers_count_image_by_image_and_in_means_once_half_is_answered(study: Study) -> None:
    def keep(one: Answer) -> bool:
        last = {"r000": WARM_UP + 5, "r001": WARM_UP + 70, "r002": WARM_UP - 1}
        return one.position <= last.get(one.reader, 10_000)

    found = analyse(*only(study, keep))
    assert [row.standing for row in found.readers][:4] == [
        "unfinished",
        "unfinished",
        "no answer",
        "finished",
    ]
    assert [row.answered for row in found.readers][:4] == [6, 71, 0, 80]
    assert (found.started, found.finished) == (5, 3)
    assert found.confusion.accuracy.total == 6 + 71 + 3 * 80
    assert found.roc is not None
    assert (found.roc.readers, found.roc.left_out) == (4, 1)
    assert [one.reader for one in found.roc.curves] == [2, 4, 5, 6]
    assert found.roc.finished is not None
    said = " ".join(found.notes)
    assert "2 readers did not finish (6 of 80, 71 of 80 images)" in said
    assert "1 reader began and answered no image that counts" in said
    # Each image has the verdicts of three to five readers.
    assert found.agreement.images == 80


def test_without_any_answer_there_is_a_result_that_says_so_and_no_number(study: Study) -> None:
    for empty in (
        with_answers(study, answers=(), readers=()),
        only(study, lambda one: one.position < WARM_UP),
    ):
        found = analyse(*empty)
        assert "NaN" not in found.model_dump_json()
        assert found.roc is None
        assert found.confusion.accuracy.value is None
        assert found.ratings.real.counts == (0,) * 10
        assert (found.ratings.real.mean, found.ratings.synthetic.median, found.ratings.difference) == (
            None,
        ) * 3
        assert found.agreement.kappa is None
        assert found.self_agreement.pairs == 0
        assert found.drift.accuracy is None
        assert [quarter.answers for quarter in found.drift.quarters] == [0] * 4
        assert found.seconds is None
        assert found.finding.told_apart == "unknown"
        assert found.finding.title == "Not enough answers for a result"


def test_ratings_are_counted_from_1_to_10_and_real_minus_synthetic_has_an_interval(
    study: Study, result: StudyResult
) -> None:
    truth = {row.item: row.truth for row in study[1].rows}
    ratings = {"real": [], "synthetic": []}  # type: dict[str, list[int]]
    for one in study[2].answers:
        if one.part == "main":
            ratings[truth[one.item]].append(one.rating or 0)
    for side in (result.ratings.real, result.ratings.synthetic):
        assert side.counts == tuple(ratings[side.truth].count(step) for step in range(1, 11))
        assert side.mean == pytest.approx(np.mean(ratings[side.truth]), abs=1e-6)
        assert side.median == np.median(ratings[side.truth])
    difference = result.ratings.difference
    assert difference is not None
    assert difference.interval is not None
    # All readers rated all images: the mean of their differences is the difference of the means.
    assert difference.value == pytest.approx(
        np.mean(ratings["real"]) - np.mean(ratings["synthetic"]), abs=1e-5
    )
    assert difference.interval.low < difference.value < difference.interval.high


def test_a_study_that_asks_for_ratings_only_has_the_curve_of_the_ratings(study: Study) -> None:
    design, key, answers = changed(study, lambda one: {"verdict": None, "confidence": None})
    found = analyse(design.model_copy(update={"ask_verdict": False}), key, answers)
    whole = analyse(*study)
    assert found.roc is not None
    assert found.roc.scale == "rating"
    # The simulated ratings are the scores themselves.
    assert whole.roc_of_ratings is not None
    assert found.roc.area == whole.roc_of_ratings.area
    assert found.roc_of_ratings is None
    assert found.confusion_by_reader == ()
    assert found.reached is None
    assert "not asked for a verdict" in " ".join(found.notes)


def test_a_verdict_without_a_confidence_counts_as_verdict_and_not_for_the_curve(study: Study) -> None:
    found = analyse(*changed(study, lambda one: {"confidence": None} if one.reader == "r000" else {}))
    assert found.confusion.accuracy.total == 480
    assert found.roc is not None
    assert found.roc.readers == 5
    assert "80 verdicts have no confidence" in " ".join(found.notes)


def test_curves_of_readers_go_from_corner_to_corner_and_the_mean_has_a_band(result: StudyResult) -> None:
    assert result.roc is not None
    for one in result.roc.curves:
        assert (one.corners[0], one.corners[-1]) == ((0.0, 0.0), (1.0, 1.0))
        x, y = np.array(one.corners).T
        assert np.all(np.diff(x) >= 0)
        assert np.trapezoid(y, x) == pytest.approx(one.area.value, abs=1e-4)
    mean = result.roc.mean_curve
    assert np.trapezoid(mean.true_fractions, mean.false_fractions) == pytest.approx(
        result.roc.area.value, abs=0.01
    )
    assert all(low <= high for low, high in zip(mean.low, mean.high, strict=True))


@pytest.mark.parametrize(
    ("skill", "readers", "told"),
    [(Skill(1.5), 8, "yes"), (Skill(-1.5), 8, "yes"), (Skill(0.0, spread=0.0), 3, "not shown")],
    ids=["skill", "the wrong way round", "guessing"],
)
def test_the_finding_is_what_the_interval_allows_to_say(skill: Skill, readers: int, told: str) -> None:
    found = analyse(*simulated_study(1, skill, readers)).finding
    assert found.told_apart == told
    said = " ".join((found.title, *found.sentences))
    assert "not whether they are fit for diagnosis" in said
    assert "planned +- 11.0 percentage points" in said
    if told == "not shown":
        assert "That does not show that they cannot tell" in said
    if skill.separation < 0:
        assert "took synthetic images for real ones" in said


def test_that_readers_cannot_tell_is_said_only_where_the_whole_interval_lies_within_the_margin() -> None:
    guessing = Skill(0.0, spread=0.0, shared=0.0)
    large = analyse(*simulated_study(2, guessing, readers=12, patients=60, per_patient=5, repeats=0))
    assert large.roc is not None
    assert large.roc.area.interval is not None
    assert large.roc.area.interval.low > 0.5 - MARGIN
    assert large.finding.told_apart == "no, within the margin"
    assert "within 0.05 of chance" in large.finding.title


def test_a_perfect_reader_is_not_given_a_certainty_that_resamples_cannot_have(study: Study) -> None:
    truth = {row.item: row.truth for row in study[1].rows}
    found = analyse(*changed(study, lambda one: {"verdict": truth[one.item], "confidence": 5}))
    assert found.roc is not None
    assert found.roc.area.value == 1
    assert "All resamples gave the same area" in " ".join(found.notes)
    assert found.confusion.accuracy.interval is not None
    assert found.confusion.accuracy.interval.low < 1


def test_time_and_drift_follow_the_order_of_each_reader(study: Study, result: StudyResult) -> None:
    # Simulated readers need 12 seconds at the beginning and 6 at the end, all of them alike.
    assert result.drift.seconds_factor is not None
    assert result.drift.seconds_factor.value == pytest.approx(0.53, abs=0.02)
    assert [quarter.quarter for quarter in result.drift.quarters] == [1, 2, 3, 4]
    seconds = [quarter.seconds or 0 for quarter in result.drift.quarters]
    assert seconds == sorted(seconds, reverse=True)
    assert sum(quarter.answers for quarter in result.drift.quarters) == result.answers
    assert result.seconds == pytest.approx(9, abs=0.5)
    assert all(row.minutes == pytest.approx(94 * 9 / 60, rel=0.05) for row in result.readers)
    # Chance alone: the interval holds 0.
    accuracy = result.drift.accuracy
    assert accuracy is not None
    assert accuracy.interval is not None
    assert accuracy.interval.low < 0 < accuracy.interval.high
    truth = {row.item: row.truth for row in study[1].rows}

    def learned(one: Answer) -> dict[str, Any]:
        return {"verdict": truth[one.item]} if one.position > 50 else {"verdict": "real"}

    better = analyse(*changed(study, learned)).drift.accuracy
    assert better is not None
    assert better.interval is not None
    assert better.interval.low > 0.3


def test_clicks_count_against_the_boxes_and_only_on_images_that_have_one() -> None:
    study = simulated_study(readers=3, tumours=True)
    found = analyse(*study).tumours
    assert found is not None
    assert (found.images, found.seen.count, found.seen.total) == (10, 30, 30)
    assert (found.inside.count, found.distance) == (30, 0)
    assert [side.conspicuity for side in found.sides] == [(0, 0, 0, 30, 0), (0, 0, 0, 0, 0)]

    def outside(one: Answer) -> dict[str, Any]:
        return {"tumour_x": 0.9} if one.tumour_seen and one.reader == "r000" else {}

    beside = analyse(*changed(study, outside)).tumours
    assert beside is not None
    assert (beside.inside.count, beside.inside.total) == (20, 30)
    unboxed = study[1].model_copy(
        update={"rows": tuple(row.model_copy(update={"boxes": ()}) for row in study[1].rows)}
    )
    without = analyse(study[0], unboxed, study[2]).tumours
    assert without is not None
    assert (without.images, without.inside.value, without.distance) == (0, None, None)
    assert without.sides[0].seen.count == 30
    assert analyse(*simulated_study(readers=3)).tumours is None


def test_readers_are_shown_in_groups_of_three_or_more_or_not_at_all() -> None:
    study = simulated_study(readers=8)

    def groups(said: list[str]) -> dict[str, int]:
        readers = tuple(
            one.model_copy(update={"profession": word, "years": None})
            for one, word in zip(study[2].readers, said, strict=True)
        )
        return {one.group: one.readers for one in analyse(*with_answers(study, readers=readers)).groups}

    assert groups(["Radiologist"] * 4 + ["student"] * 4) == {"radiologist": 4, "student": 4}
    assert groups(["radiologist"] * 5 + ["student", "nurse", "Head of Radiology"]) == {
        "radiologist": 5, "all others": 3,
    }  # fmt: skip
    # One reader of another profession would follow from the total.
    assert groups(["radiologist"] * 4 + ["student"] * 3 + ["nurse"]) == {"radiologist": 4, "all others": 4}
    assert groups(["radiologist"] * 7 + ["nurse"]) == {}
    assert groups([""] * 8) == {}


def test_answers_of_another_study_or_to_an_image_that_it_has_not_are_refused(study: Study) -> None:
    design, key, answers = study
    with pytest.raises(BadInput, match="of the same frozen study"):
        analyse(design, key, answers.model_copy(update={"version": "0"}))
    with pytest.raises(BadInput, match="which the study has not"):
        analyse(design, key.model_copy(update={"rows": key.rows[:-1]}), answers)
    with pytest.raises(BadInput, match="give each answer once"):
        analyse(design, key, answers.model_copy(update={"answers": (*answers.answers, answers.answers[0])}))


def test_kappa_of_fleiss_is_that_of_his_paper() -> None:
    counts = np.array([[int(digit) for digit in line] for line in FLEISS.split()], dtype=float)
    assert counts.sum(axis=0).tolist() == [26, 26, 30, 55, 43]
    kappa, observed, expected = fleiss(counts)
    assert (round(observed[0], 3), round(expected[0], 3), round(kappa[0], 3)) == (0.556, 0.220, 0.430)


def test_kappa_takes_images_that_some_readers_left_out_and_is_not_defined_where_all_say_the_same() -> None:
    counts = np.array([[3, 0], [0, 3], [2, 0], [1, 2]], dtype=float)
    kappa, observed, _ = fleiss(counts)
    assert observed[0] == pytest.approx((1 + 1 + 1 + 1 / 3) / 4)
    assert 0 < kappa[0] < 1
    assert np.isnan(fleiss(np.array([[3, 0], [2, 0]], dtype=float))[0][0])


def test_kappa_of_cohen_is_that_of_a_table_done_by_hand() -> None:
    # Both yes 20, only the first 5, only the second 10, both no 15: 0.7 observed, 0.5 expected.
    first = np.array([True] * 25 + [False] * 25)
    second = np.array([True] * 20 + [False] * 5 + [True] * 10 + [False] * 15)
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert cohen_kappa(first[:0], second[:0]) is None
    assert cohen_kappa(first[:5], first[:5]) is None


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    # 81 of 263: Newcombe, Statistics in Medicine 17 (1998), table I, method 3; so are 15 of 148, 0 of 20 and 1 of 29.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_of_wilson_are_those_of_newcombes_table(
    count: int, total: int, low: float, high: float
) -> None:
    found = proportion(count, total).interval
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert proportion(0, 0).interval is None
    assert proportion(7, 7).interval == Interval(low=proportion(7, 7).interval.low, high=1.0)  # type: ignore[union-attr]
