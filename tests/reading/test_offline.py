"""Files for readers without a server: the sealed key, and what comes back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.versions.status import SetWithdrawn
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.reading.images.frozen_study import FrozenStudy, freeze_study
from chestgan_core.reading.images.order import reading_order
from chestgan_core.reading.offline.pack import make_pack
from chestgan_core.reading.offline.returned import collect_answers
from chestgan_core.reading.offline.sealed_key import FILE, SealedKey, stored_key
from chestgan_core.reading.offline.words import LANGUAGES, WORDS
from chestgan_core.store import keys
from chestgan_core.store.artefacts import sha256_of
from chestgan_core.store.store import Store
from tests.reading.published import design_of

SEEN = {"tumour_seen": True, "tumour_x": 0.25, "tumour_y": 0.5, "conspicuity": 2}


def answer_file(key: SealedKey, count: int | None = None) -> dict[str, Any]:
    """What the page saves after so many images; by default all."""
    shown = key.shown[:count]
    return {
        "kind": "chestgan-reading-answers",
        "format": 1,
        "study": key.study,
        "version": key.version,
        "reader": key.reader,
        "seal": key.seal,
        "profession": "radiologist",
        "specialty": "",
        "years": 7,
        "finished": len(shown) == len(key.shown),
        "answers": [
            {
                "id": one.id,
                "rating": 1 + place % 10,
                "verdict": "real",
                "confidence": 3,
                **SEEN,
                "seconds": 2.5,
                "answered_at": "2026-11-01T12:00:00.000Z",
            }
            for place, one in enumerate(shown)
        ],
    }


@pytest.fixture
def key(store: Store, study: FrozenStudy) -> SealedKey:
    return stored_key(store, study, make_pack(store, study).reader)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[object], Path]:
    """Writes a file as a reader sends it."""

    def to_file(content: object) -> Path:
        path = tmp_path / f"answers-{len(list(tmp_path.iterdir()))}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return to_file


def test_answers_of_several_readers_become_one_table(
    store: Store, study: FrozenStudy, write: Callable[[object], Path]
) -> None:
    one, other = (stored_key(store, study, make_pack(store, study).reader) for _ in range(2))
    collected = collect_answers(store, study, [write(answer_file(one)), write(answer_file(other, 5))])
    assert [(reader.reader, reader.finished) for reader in collected.readers] == [
        (one.reader, True),
        (other.reader, False),
    ]
    of_one = [answer for answer in collected.answers if answer.reader == one.reader]
    planned = reading_order(study, one.seed)
    assert [(answer.item, answer.part) for answer in of_one] == [(plan.item, plan.part) for plan in planned]
    assert [answer.position for answer in of_one] == list(range(50))
    assert (of_one[3].rating, of_one[3].tumour_x, of_one[3].seconds) == (4, 0.25, 2.5)
    assert len(collected.answers) == 55


def with_answer(at: int, **fields: object) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["answers"][at].update(fields)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_answer(0, id="0" * 32), "answer 1 is to an image that the page did not have"),
        (
            lambda file: file["answers"].insert(1, file["answers"][0]),
            "answer 2 is the second one to the same",
        ),
        (lambda file: file["answers"].pop(3), "answer 4 skips an image"),
        (lambda file: file.update(finished=False), "has 50 of 50 answers, and says otherwise"),
        (lambda file: file.update(version="v2"), "is of the study study v2, not of study"),
        (lambda file: file.update(study="other"), "is of the study other"),
        (lambda file: file.update(reader="r00000000"), "for whom no file was made here"),
        (lambda file: file.update(seal="0" * 64), "was made with another key"),
        (lambda file: file.update(truth=[1, 0]), "truth"),
        (lambda file: file.update(format=2), "format"),
        (lambda file: file.update(years=200), "years"),
        (lambda file: file.update(profession="x" * 129), "profession"),
        (lambda file: file.update(reader="../../etc"), "is not an answer file"),
        (with_answer(0, rating=11), "rating"),
        (with_answer(0, rating=None), "rating"),
        (with_answer(0, rating="7"), "rating"),
        (with_answer(0, verdict=None), "answer 1 has no verdict"),
        (with_answer(0, verdict="fake"), "verdict"),
        (with_answer(0, confidence=None), "answer 1 has no confidence"),
        (with_answer(0, tumour_seen=None), "answer 1 has no tumour"),
        (with_answer(0, tumour_x=None), "answer 1 has no place and conspicuity"),
        (with_answer(0, tumour_seen=False), "answer 1 has a place and conspicuity"),
        (with_answer(0, tumour_seen=False, tumour_x=None), "answer 1 has half a place"),
        (with_answer(0, tumour_x=1.01), "tumour_x"),
        (with_answer(0, seconds=-1), "seconds"),
        (with_answer(0, answered_at="2026-11-01T12:00:00"), "answered_at"),
        (with_answer(0, item=3), "item"),
    ],
)
def test_a_file_that_is_not_what_the_page_saved_is_refused_with_its_name(
    change: Callable[[dict[str, Any]], object],
    said: str,
    store: Store,
    study: FrozenStudy,
    key: SealedKey,
    write: Callable[[object], Path],
) -> None:
    content = answer_file(key)
    change(content)
    path = write(content)
    with pytest.raises(BadInput, match=said) as refused:
        collect_answers(store, study, [path])
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\x00\xff", b'{"kind": NaN}', b"[" * 100_000, b'{"a":1,"a":2}']
)
def test_bytes_that_are_no_answer_file_are_refused(
    data: bytes, store: Store, study: FrozenStudy, tmp_path: Path
) -> None:
    path = tmp_path / "answers.json"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=r"answers\.json"):
        collect_answers(store, study, [path])


def test_two_files_of_one_reader_are_not_added_up(
    store: Store, study: FrozenStudy, key: SealedKey, write: Callable[[object], Path]
) -> None:
    paths = [write(answer_file(key, 5)), write(answer_file(key))]
    with pytest.raises(BadInput, match=r"is of the reader r.*, as .* is; give the newest file"):
        collect_answers(store, study, paths)


def test_an_answer_to_what_was_not_asked_is_refused(
    store: Store, published: SetFolder, write: Callable[[object], Path]
) -> None:
    study = freeze_study(store, design_of(published, ask_verdict=False, ask_tumour=False))
    key = stored_key(store, study, make_pack(store, study).reader)
    content = answer_file(key)
    with pytest.raises(BadInput, match="answer 1 has a verdict"):
        collect_answers(store, study, [write(content)])
    nothing = dict.fromkeys(("verdict", "confidence", *SEEN))
    for one in content["answers"]:
        one.update(nothing)
    collected = collect_answers(store, study, [write(content)])
    assert {answer.verdict for answer in collected.answers} == {None}


def test_a_key_that_was_exchanged_does_not_fit_the_seal_that_was_noted(
    store: Store, study: FrozenStudy, key: SealedKey, write: Callable[[object], Path]
) -> None:
    assert key.seal == sha256_of(key.as_bytes())
    (stored,) = [item for item in store.list("reading/packs/") if item.key.endswith(FILE)]
    other = key.model_copy(update={"shown": (*key.shown[1:], key.shown[0])})
    store.put_bytes(other.as_bytes(), stored.key)
    with pytest.raises(DamagedObject):
        collect_answers(store, study, [write(answer_file(key))])


def test_a_key_of_another_file_is_not_used(store: Store, study: FrozenStudy, key: SealedKey) -> None:
    place = keys.reader_pack_manifest("study", study.version, "r2")
    store.commit(place, {FILE: key.as_bytes()}, {"kind": "reader-study-pack"})
    with pytest.raises(DamagedObject, match="is the key of another file"):
        stored_key(store, study, "r2")


def test_no_file_is_made_of_a_set_that_was_withdrawn(
    store: Store, study: FrozenStudy, published: SetFolder
) -> None:
    withdraw_set(store, "small", published.version, "damaged")
    with pytest.raises(SetWithdrawn):
        make_pack(store, study)


def test_a_language_that_the_page_does_not_speak_is_refused(store: Store, study: FrozenStudy) -> None:
    with pytest.raises(BadInput, match="choose one of en, es"):
        make_pack(store, study, "de")


def test_every_language_says_everything_with_the_same_numbers() -> None:
    assert set(WORDS) == set(LANGUAGES)
    for words in WORDS.values():
        assert words.keys() == WORDS["en"].keys()
        assert all(words.values())
        for name, text in WORDS["en"].items():
            for number in ("{count}", "{place}"):
                assert (number in text) == (number in words[name]), name
