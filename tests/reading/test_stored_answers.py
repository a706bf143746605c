"""Answers in the store, and as a table for a spreadsheet."""

import csv
import io
from datetime import UTC, datetime

import pytest

from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.reading.answers import Answer, Reader, StudyAnswers
from chestgan_core.reading.stored_answers import (
    ANSWERS,
    answers_csv,
    commit_answers,
    newest_answers,
    read_answers,
)
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json
from chestgan_core.store.store import Store

READER = Reader(reader="r1", profession="radiologist", years=7, presentations=3, finished=False)


def answer(position: int, item: int, **fields: object) -> Answer:
    given = {
        "reader": "r1",
        "item": item,
        "part": "main",
        "position": position,
        "rating": 7,
        "verdict": "real",
        "confidence": 3,
        "seconds": 4.25,
        "answered_at": datetime(2026, 11, 1, 12, tzinfo=UTC),
    }
    return Answer.model_validate({**given, **fields})


def answers(*given: Answer, readers: tuple[Reader, ...] = (READER,)) -> StudyAnswers:
    return StudyAnswers(study="study", version="v1", readers=readers, answers=given)


def test_answers_come_back_as_they_were_and_the_last_committed_are_the_newest(store: Store) -> None:
    first, second = answers(answer(0, 5)), answers(answer(0, 5), answer(1, 9))
    committed = commit_answers(store, "small", first)
    assert read_answers(store, "small", "study", committed.manifest["version"]) == first
    commit_answers(store, "small", second)
    assert newest_answers(store, "small") == second
    assert commit_answers(store, "small", first) == committed
    assert newest_answers(store, "small") == first


def test_a_set_without_answers_says_so(store: Store) -> None:
    with pytest.raises(NotInStore):
        newest_answers(store, "small")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answers(answer(0, 5), answer(0, 6)), "have two for position 0 of r1"),
        (answers(answer(0, 5), answer(1, 5)), "have two for image 5 of r1"),
        (answers(answer(0, 5, reader="r2")), "have 1 of r2, who is not listed"),
        (answers(answer(3, 5)), "have one at position 3 of the 3 of r1"),
        (answers(readers=(READER, READER)), "list the reader r1 2 times"),
        (
            answers(answer(0, 5), readers=(READER.model_copy(update={"finished": True}),)),
            "have 1 of r1, finished, who was shown 3",
        ),
    ],
)
def test_answers_that_contradict_each_other_are_not_committed(
    given: StudyAnswers, said: str, store: Store
) -> None:
    with pytest.raises(BadInput, match=said):
        commit_answers(store, "small", given)
    assert not list(store.list())


def test_an_image_that_came_twice_as_planned_may_be_answered_twice(store: Store) -> None:
    commit_answers(store, "small", answers(answer(0, 5), answer(2, 5, part="repeat")))


@pytest.mark.parametrize(
    "fields",
    [
        {"rating": 11},
        {"rating": True},
        {"seconds": -1},
        {"tumour_x": 1.5},
        {"verdict": "fake"},
        {"answered_at": "2026-11-01T12:00:00"},
        {"reader": "../r1"},
        {"name": "Erika"},
    ],
)
def test_stored_answers_out_of_bounds_are_damaged(fields: dict[str, object], store: Store) -> None:
    plain = answers(answer(0, 5)).model_dump(mode="json")
    plain["answers"][0].update(fields)
    key = keys.reader_answers_manifest("small", "study", "v9")
    store.commit(key, {ANSWERS: canonical_json(plain)}, {"kind": "reader-study-answers"})
    with pytest.raises(DamagedObject, match="is not the answers to a reader study"):
        read_answers(store, "small", "study", "v9")


def test_the_table_has_a_line_per_answer_and_no_formula() -> None:
    said = READER.model_copy(update={"profession": '=HYPERLINK("http://x")', "specialty": "@chest, thorax"})
    given = answers(answer(0, 5, tumour_seen=False), answer(1, 9, verdict=None), readers=(said,))
    rows = list(csv.DictReader(io.StringIO(answers_csv(given))))
    assert [row["item"] for row in rows] == ["5", "9"]
    assert rows[0]["profession"] == '\'=HYPERLINK("http://x")'
    assert rows[0]["specialty"] == "'@chest, thorax"
    assert (rows[0]["tumour_seen"], rows[0]["seconds"], rows[1]["verdict"]) == ("no", "4.25", "")
    assert "truth" not in rows[0]


def test_a_negative_zero_is_no_formula_either() -> None:
    (row,) = csv.DictReader(io.StringIO(answers_csv(answers(answer(0, 5, seconds=-0.0, tumour_x=-0.0)))))
    assert (row["seconds"], row["tumour_x"]) == ("0.0", "0.0")
