"""Which images a study shows: both sides equal in number and in classes, spread over patients and levels."""

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.errors import BadInput
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.images.choosing import choose
from chestgan_core.reading.images.real_images import RealRow


def design(count: int, **fields: object) -> StudyDesign:
    given = {"name": "s", "title": "t", "set_name": "small", "set_version": "v", "images_per_side": count}
    return StudyDesign.model_validate({"warm_up": 0, **given, **fields})


def rows(counts: dict[int, int], classes: str = "AG") -> list[RealRow]:
    """patient -> images of it, at evenly spaced levels."""
    return [
        RealRow(image_class=classes[patient % len(classes)], patient=patient, level=at / count)
        for patient, count in counts.items()
        for at in range(count)
    ]


@given(
    counts=st.dictionaries(st.integers(1, 8), st.integers(1, 30), min_size=1),
    classes=st.lists(st.sampled_from(["A", "G"]), min_size=4, max_size=60),
    count=st.integers(4, 25),
    limit=st.integers(1, 20),
    warm_up=st.integers(0, 6),
    seed=st.integers(0, 99),
)
def test_a_choice_keeps_all_limits_or_says_what_would_do(
    counts: dict[int, int], classes: list[str], count: int, limit: int, warm_up: int, seed: int
) -> None:
    real = rows(counts)
    wanted = design(count, max_per_patient=limit, warm_up=warm_up, seed=seed)
    usable = sum(min(found, limit) for found in counts.values())
    if usable < count + ceil(warm_up / 2) or len(classes) < count + warm_up // 2:
        with pytest.raises(BadInput, match="are needed"):
            choose(wanted, real, classes)
        return
    choice = choose(wanted, real, classes)
    assert (len(choice.real), len(choice.synthetic)) == (count, count)
    assert (len(choice.real_warm_up), len(choice.synthetic_warm_up)) == (ceil(warm_up / 2), warm_up // 2)
    for main, before in (
        (choice.real, choice.real_warm_up),
        (choice.synthetic, choice.synthetic_warm_up),
    ):
        assert len(set(main + before)) == len(main) + len(before)
    patients = Counter(real[index].patient for index in choice.real + choice.real_warm_up)
    assert max(patients.values()) <= limit
    assert choice == choose(wanted, real, classes)


def test_both_sides_show_the_same_classes_equally_often_where_there_are_enough_of_each() -> None:
    real = rows({1: 30, 2: 30, 3: 30, 4: 30})
    choice = choose(design(24), real, ["A"] * 100 + ["G"] * 20)
    assert Counter(real[index].image_class for index in choice.real) == {"A": 12, "G": 12}
    assert sum(index < 100 for index in choice.synthetic) == 12


def test_a_class_that_one_side_lacks_is_filled_up_with_another() -> None:
    real = rows({1: 30, 2: 3, 4: 3})
    choice = choose(design(20, max_per_patient=20), real, ["A"] * 50 + ["G"] * 50)
    assert Counter(real[index].image_class for index in choice.real) == {"A": 6, "G": 14}
    assert sum(index < 50 for index in choice.synthetic) == 6


def test_a_set_without_classes_is_compared_with_all_classes_alike() -> None:
    real = rows({1: 30, 2: 30})
    choice = choose(design(20), real, [""] * 40)
    assert Counter(real[index].image_class for index in choice.real) == {"A": 10, "G": 10}


def test_real_images_are_spread_over_patients_and_over_the_height_of_the_lungs() -> None:
    real = rows(dict.fromkeys(range(1, 6), 40), "A")
    chosen = [real[index] for index in choose(design(20), real, [""] * 20).real]
    assert set(Counter(row.patient for row in chosen).values()) == {4}
    quarters = Counter(int((row.level or 0) * 4) for row in chosen)
    assert set(quarters.values()) == {5}


@pytest.mark.parametrize(
    ("counts", "fields", "said"),
    [
        (
            {1: 20, 2: 20},
            {"max_per_patient": 100},
            "set small has 40 real images of 2 patient(s); 60 are needed; lower images_per_side to 40, "
            "or train with more patients held out",
        ),
        (
            {1: 50, 2: 30},
            {"max_per_patient": 10, "warm_up": 5},
            "set small has 80 real images of 2 patient(s), 20 of them with at most 10 of each; 63 are needed "
            "(60 and 3 to warm up); lower images_per_side to 17, or raise max_per_patient to 33",
        ),
    ],
)
def test_too_few_real_images_are_refused_with_numbers_that_would_do(
    counts: dict[int, int], fields: dict[str, int], said: str
) -> None:
    with pytest.raises(BadInput) as refused:
        choose(design(60, **fields), rows(counts), [""] * 100)
    assert said in str(refused.value)
    lowered = int(str(refused.value).split("images_per_side to ")[1].split(",")[0])
    assert len(choose(design(lowered, **fields), rows(counts), [""] * 100).real) == lowered


def test_too_few_synthetic_images_are_refused_with_numbers_that_would_do() -> None:
    with pytest.raises(
        BadInput, match=r"has 30 images; 32 are needed \(30 and 2 to warm up\); lower .* to 28"
    ):
        choose(design(30, warm_up=4), rows(dict.fromkeys(range(1, 11), 9)), [""] * 30)
