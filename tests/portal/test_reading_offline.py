"""Readers without access: a file from the portal, and the answers that come back into it."""

import json
from typing import Any

import pytest
from babel.messages.pofile import read_po
from httpx import Response
from sqlalchemy import select
from starlette.testclient import TestClient

from chestgan_core.reading.images.frozen_study import open_study as read_study
from chestgan_core.reading.offline.sealed_key import SealedKey, stored_key
from chestgan_core.reading.offline.words import WORDS, choices
from chestgan_core.store.store import Store
from chestgan_portal.accounts.fields import PROFESSIONS, SPECIALTIES
from chestgan_portal.database.tables import Deed, Study
from chestgan_portal.pages.languages import LOCALES
from tests.portal.clients import Portal, post, token
from tests.portal.reading_studies import answers_of, open_study
from tests.portal.test_reading_administration import wait_for

BOTH = pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)


def key_of_pack(administrator: TestClient, store: Store, study: Study) -> SealedKey:
    """Make a file as the page does it."""
    made = post(administrator, f"/admin/studies/{study.name}/pack")
    assert made.status_code == 200
    assert made.headers["content-disposition"].startswith('attachment; filename="short-r')
    reader = made.headers["content-disposition"].split("short-")[1].split(".html")[0]
    key = stored_key(store, read_study(store, study.name, study.version), reader)
    assert all(shown.id in made.text for shown in key.shown)
    assert key.truth_sha256 not in made.text
    return key


def file_of(key: SealedKey, answers: int, **fields: Any) -> dict[str, Any]:
    """What the page saves after so many images."""
    given = [
        {
            "id": shown.id,
            "rating": 1 + place % 10,
            "verdict": "real",
            "confidence": 3,
            "tumour_seen": None,
            "tumour_x": None,
            "tumour_y": None,
            "conspicuity": None,
            "seconds": 4.5,
            "answered_at": f"2026-01-01T09:{place:02d}:00Z",
        }
        for place, shown in enumerate(key.shown[:answers])
    ]
    return {
        "kind": "chestgan-reading-answers",
        "format": 1,
        "study": key.study,
        "version": key.version,
        "reader": key.reader,
        "seal": key.seal,
        "profession": "Radiologist",
        "specialty": "=1+1",
        "years": 5,
        "finished": answers == len(key.shown),
        "answers": given,
    } | fields


def upload(administrator: TestClient, study: Study, content: object) -> Response:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return administrator.post(
        f"/admin/studies/{study.name}/returned",
        data={"csrf": token(administrator)},
        files={"answers": ("answers.json", data, "application/json")},
    )


@BOTH
def test_answers_from_a_file_count_like_those_given_here(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    study = open_study(portal, store)
    key = key_of_pack(administrator, store, study)
    assert upload(administrator, study, file_of(key, 6)).status_code == 200
    assert "6 / 17" in administrator.get(f"/admin/studies/{study.name}").text
    changed = file_of(key, 17)
    changed["answers"][0]["rating"] = 10  # what was taken once is final
    assert upload(administrator, study, changed).status_code == 200
    again = upload(administrator, study, file_of(key, 17))
    assert again.status_code == 409
    assert "here already" in again.text
    with portal.session() as db:
        rows = answers_of(db, study)
    assert [answer.rating for _, _, answer in rows] == [1 + place % 10 for place in range(17)]
    assert [shown.item for _, shown, _ in rows] == [shown.item for shown in key.shown]
    assert rows[0][0].finished_at is not None
    assert (rows[0][0].account_id, rows[0][0].years) == (None, 5)
    post(administrator, f"/admin/studies/{study.name}/close")
    wait_for(portal, study.name, "result_version", seconds=120)
    assert "'=1+1" in administrator.get(f"/admin/studies/{study.name}/answers.csv").text
    assert upload(administrator, study, file_of(key, 17)).status_code == 409
    with portal.session() as db:
        deeds = [one.deed for one in db.scalars(select(Deed).order_by(Deed.id))]
    assert deeds[:2] == ["make offline file of study", "take offline answers of study"]


@pytest.mark.parametrize(
    "change",
    [
        {"seal": "0" * 64},
        {"reader": "r00000000"},
        {"version": "0123456789abcdef"},
        {"study": "another"},
        {"finished": True},
        {"years": 200},
        {"profession": "x" * 129},
        {"extra": 1},
    ],
)
def test_a_file_that_is_not_what_the_page_saved_is_refused(
    portal: Portal, store: Store, administrator: TestClient, change: dict[str, Any]
) -> None:
    study = open_study(portal, store)
    key = key_of_pack(administrator, store, study)
    page = upload(administrator, study, file_of(key, 6) | change)
    assert page.status_code == 422
    assert "/tmp" not in page.text
    with portal.session() as db:
        assert answers_of(db, study) == []


@BOTH
def test_times_and_texts_that_no_page_saves_are_refused(
    portal: Portal, store: Store, administrator: TestClient
) -> None:
    study = open_study(portal, store)
    key = key_of_pack(administrator, store, study)
    for time in (
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2100-01-01T00:00:00Z",
    ):
        file = file_of(key, 6)
        file["answers"][0]["answered_at"] = time
        assert upload(administrator, study, file).status_code == 422, time
    for text in ("a\x00b", "a\x1b[31mb", "a\x85\x7fb"):
        for name in ("profession", "specialty"):
            page = upload(administrator, study, file_of(key, 6) | {name: text})
            assert (page.status_code, "control characters" in page.text) == (422, True), repr(text)
    with portal.session() as db:
        assert answers_of(db, study) == []
    assert (
        upload(administrator, study, file_of(key, 6) | {"profession": "Chest\tradiologist "}).status_code
        == 200
    )
    with portal.session() as db:
        assert answers_of(db, study)[0][0].profession == "Chest radiologist"


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 1000, b"[" * 100_000, b"<html>"])
def test_a_file_of_another_kind_is_refused(
    portal: Portal, store: Store, administrator: TestClient, content: bytes
) -> None:
    study = open_study(portal, store)
    assert upload(administrator, study, content).status_code == 422


def test_readers_neither_get_files_nor_bring_answers(
    portal: Portal, store: Store, reader: TestClient
) -> None:
    study = open_study(portal, store)
    assert post(reader, f"/admin/studies/{study.name}/pack").status_code == 403
    assert upload(reader, study, b"{}").status_code == 403
    assert upload(reader, study, b" " * (2 << 20)).status_code == 413


def test_the_file_asks_word_for_word_what_the_portal_asks() -> None:
    """Answers of both are analysed together: another end of a scale would be another scale."""
    with (LOCALES / "es" / "portal.po").open("rb") as opened:
        spanish = {entry.id: entry.string for entry in read_po(opened)}
    asked = [
        *("rating", "rating_low", "rating_high", "verdict", "real", "synthetic"),
        *("confidence", "confidence_low", "confidence_high", "tumour", "tumour_none"),
        *("conspicuity", "conspicuity_low", "conspicuity_high"),
    ]
    for name in asked:
        assert WORDS["es"][name] == spanish[WORDS["en"][name]], name


def test_the_file_offers_the_professions_and_specialties_of_the_portal() -> None:
    """In one order and in the same words: a group of readers is one group, wherever they answered."""
    with (LOCALES / "es" / "portal.po").open("rb") as opened:
        spanish = {entry.id: entry.string for entry in read_po(opened)}
    for kind, offered in (("profession", PROFESSIONS), ("specialty", SPECIALTIES)):
        assert choices(kind) == list(offered)
        for value, text in offered.items():
            word = f"{kind}: {value}"
            assert (WORDS["en"][word], WORDS["es"][word]) == (text, spanish[text])
