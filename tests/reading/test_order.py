"""The order of one reader."""

import dataclasses
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.reading.images.order import Planned, gap_of, reading_order
from tests.reading.published import study_in_memory

STUDIES = st.builds(
    study_in_memory,
    images=st.integers(4, 100).map(lambda side: 2 * side),
    warm_up=st.integers(0, 10),
    repeats=st.floats(0, 0.5),
)
SEEDS = st.integers(0, 2**32 - 1)


@given(study=STUDIES, seed=SEEDS)
def test_every_image_comes_once_and_as_many_as_planned_come_again(study, seed) -> None:  # type: ignore[no-untyped-def]
    order = reading_order(study, seed)
    parts = {part: [one.item for one in order if one.part == part] for part in ("warm-up", "main", "repeat")}
    assert sorted(parts["warm-up"]) == sorted(study.warm_up)
    assert sorted(parts["main"]) == sorted(study.main)
    assert len(parts["repeat"]) == round(study.design.repeats * len(study.main))
    assert len(set(parts["repeat"])) == len(parts["repeat"])
    assert set(parts["repeat"]) <= set(study.main)


@given(study=STUDIES, seed=SEEDS)
def test_the_warm_up_comes_first_and_a_second_showing_long_after_the_first(study, seed) -> None:  # type: ignore[no-untyped-def]
    order = reading_order(study, seed)
    assert {one.part for one in order[: len(study.warm_up)]} <= {"warm-up"}
    first = {one.item: place for place, one in enumerate(order) if one.part == "main"}
    for place, one in enumerate(order):
        if one.part == "repeat":
            assert place - first[one.item] >= gap_of(len(study.main))


@given(study=STUDIES, seed=SEEDS)
def test_a_reader_who_returns_on_another_device_finds_the_same_order(study, seed) -> None:  # type: ignore[no-untyped-def]
    assert reading_order(study, seed) == reading_order(dataclasses.replace(study), seed)


def test_readers_and_studies_have_orders_of_their_own() -> None:
    study, other = study_in_memory(40), study_in_memory(40, version="v2")
    orders = {reading_order(study, seed) for seed in range(20)} | {reading_order(other, 0)}
    assert len(orders) == 21


def test_which_images_come_again_and_when_favours_none() -> None:
    study = study_in_memory(20, repeats=0.2)
    again: Counter[int] = Counter()
    late: Counter[int] = Counter()
    readers = 2_000
    for seed in range(readers):
        order = reading_order(study, seed)
        again.update(one.item for one in order if one.part == "repeat")
        late.update(one.item for one in order[len(order) // 2 :] if one.part == "main")
    # Each of 20 images is expected 400 times; 5 standard deviations of a binomial of 2,000 are 90.
    assert all(abs(again[item] - 400) < 90 for item in study.main)
    assert max(late[item] for item in study.main) - min(late[item] for item in study.main) < 225


def test_a_study_without_repeats_and_warm_up_is_one_shuffle() -> None:
    order = reading_order(study_in_memory(8, warm_up=0, repeats=0), 3)
    assert sorted(order, key=lambda one: one.item) == [Planned(item, "main") for item in range(8)]
