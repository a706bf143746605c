"""A reader's answers: each once, in the order of the reader, and nothing of anybody else's."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from chestgan_core.store.store import Store
from chestgan_portal.database.tables import Account, Answer, Participation, Presentation, Study
from tests.portal.clients import Portal, post
from tests.portal.reading_studies import Reading, answers_of, open_study

BOTH = pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
PRESENTATIONS = 2 + 12 + 3  # warm-up, main, repeats


@pytest.fixture
def study(portal: Portal, store: Store) -> Study:
    return open_study(portal, store)


@pytest.fixture
def reading(portal: Portal, study: Study) -> Reading:
    found = Reading(portal.client(portal.account("ana")), study.name)
    found.join()
    return found


def set_state(portal: Portal, study: Study, state: str) -> None:
    with portal.session() as db:
        db.execute(update(Study).where(Study.id == study.id).values(state=state))
        db.commit()


@BOTH
def test_a_reader_goes_from_joining_to_the_thanks_and_every_answer_is_kept(
    portal: Portal, study: Study, reading: Reading
) -> None:
    assert "for practice" in reading.page.text
    for number in range(PRESENTATIONS):
        reading.answer(rating=1 + number % 10, verdict=("real", "synthetic")[number % 2])
    assert "You have judged all 17 images" in reading.page.text
    with portal.session() as db:
        rows = answers_of(db, study)
        assert [answer.rating for _, _, answer in rows] == [
            1 + number % 10 for number in range(PRESENTATIONS)
        ]
        assert [shown.part for _, shown, _ in rows[:3]] == ["warm-up", "warm-up", "main"]
        assert rows[0][0].finished_at is not None
        assert all(0 <= answer.seconds <= 0.01 for _, _, answer in rows)


def test_the_warm_up_and_the_main_part_are_announced_and_repeats_are_not(
    portal: Portal, study: Study, reading: Reading
) -> None:
    first = reading.client.get(f"/studies/{study.name}/reading").text
    assert "The first 2 images are for practice" in first
    reading.begin()
    for _ in range(2):
        reading.look()
        page = reading.send({"rating": 5, "verdict": "real", "confidence": 3})
        reading.begin()
    assert "The warm-up is over" in page.text
    pages = []
    for _ in range(PRESENTATIONS - 2):
        pages.append(reading.page.text)
        reading.answer()
    assert [f"Image {number} of 15" in page for number, page in enumerate(pages, 1)] == [True] * 15
    assert not any("repeat" in page.lower() for page in pages)


def test_on_another_device_a_reader_goes_on_at_exactly_the_same_image(
    portal: Portal, study: Study, reading: Reading
) -> None:
    for _ in range(5):
        reading.answer()
    with portal.session() as db:
        account = db.scalar(select(Account).where(Account.username == "ana"))
    assert account is not None
    phone = Reading(portal.client(account), study.name)
    phone.begin()
    assert phone.token == reading.token
    assert "5 of 17 images answered" in phone.client.get(f"/studies/{study.name}").text


def test_a_second_answer_never_replaces_the_first(portal: Portal, study: Study, reading: Reading) -> None:
    reading.look()
    token = reading.token
    reading.send({"rating": 9, "verdict": "real", "confidence": 5})
    again = reading.send({"rating": 9, "verdict": "real", "confidence": 5}, token, follow_redirects=False)
    assert again.status_code == 303  # its confirmation may have been lost: no harm, no word
    other = reading.send({"rating": 2, "verdict": "synthetic", "confidence": 1}, token)
    assert other.status_code == 409
    assert "the first answer counts" in other.text
    with portal.session() as db:
        assert [answer.rating for _, _, answer in answers_of(db, study)] == [9]


@BOTH
def test_of_two_devices_that_answer_at_the_same_moment_one_is_first(
    portal: Portal, study: Study, reading: Reading
) -> None:
    reading.look()
    with portal.session() as db:
        account = db.scalar(select(Account).where(Account.username == "ana"))
    assert account is not None
    devices = [Reading(portal.client(account), study.name) for _ in range(8)]
    for device in devices:
        device.page = reading.page
    together = threading.Barrier(len(devices))

    def send(number: int) -> int:
        together.wait()
        return (
            devices[number]
            .send({"rating": number + 1, "verdict": "real", "confidence": 3}, follow_redirects=False)
            .status_code
        )

    with ThreadPoolExecutor(len(devices)) as pool:
        statuses = list(pool.map(send, range(len(devices))))
    assert sorted(statuses) == [303, *[409] * 7]
    with portal.session() as db:
        (row,) = answers_of(db, study)
        assert row[2].rating == 1 + statuses.index(303)


def test_an_answer_that_lacks_something_comes_back_as_it_was_typed(
    portal: Portal, study: Study, reading: Reading
) -> None:
    reading.look()
    page = reading.send({"rating": 8, "confidence": 9})
    assert page.status_code == 422
    assert 'name="rating" value="8" checked' in page.text
    assert "Choose real or synthetic." in page.text
    with portal.session() as db:
        assert answers_of(db, study) == []


@pytest.mark.parametrize(
    "wrong", ["0", "11", "5.5", "-1", "1e1", "\u0665", "", "nan", "1; drop table answers"]
)
def test_a_rating_is_a_whole_number_from_1_to_10(
    portal: Portal, study: Study, reading: Reading, wrong: str
) -> None:
    reading.look()
    assert reading.send({"rating": wrong, "verdict": "real", "confidence": 3}).status_code == 422


@pytest.mark.parametrize("claimed", ["86400", "-3", "nan", "inf", "1e300", "", "soon"])
def test_no_browser_claims_more_time_than_has_passed(
    portal: Portal, study: Study, reading: Reading, claimed: str
) -> None:
    reading.answer(seconds=claimed)
    with portal.session() as db:
        ((_, shown, answer),) = answers_of(db, study)
    assert shown.shown_at is not None
    assert 0 <= answer.seconds <= (answer.answered_at - shown.shown_at).total_seconds()


def test_an_image_that_was_not_sent_cannot_be_judged(portal: Portal, study: Study, reading: Reading) -> None:
    page = reading.send({"rating": 8, "verdict": "real", "confidence": 3})
    assert page.status_code == 409
    assert "has not reached this browser" in page.text
    assert 'name="rating" value="8" checked' in page.text


@pytest.mark.parametrize(("state", "sentence"), [("paused", "is paused"), ("closed", "is closed")])
def test_a_study_that_is_not_open_takes_no_answer_and_shows_no_image(
    portal: Portal, study: Study, reading: Reading, state: str, sentence: str
) -> None:
    reading.look()
    set_state(portal, study, state)
    page = reading.send({"rating": 8, "verdict": "real", "confidence": 3})
    assert page.status_code == 409
    assert sentence in page.text
    assert reading.look().status_code == 409
    with portal.session() as db:
        assert answers_of(db, study) == []


@BOTH
def test_no_answer_is_accepted_after_the_moment_of_closing(portal: Portal, study: Study) -> None:
    readers = [Reading(portal.client(portal.account(f"reader{n}")), study.name) for n in range(4)]
    for reader in readers:
        reader.join()
    closed = threading.Event()
    late: list[int] = []

    def read(reader: Reading) -> None:
        while reader.token:
            was_closed = closed.is_set()
            page = reader.answer()
            if was_closed:
                late.append(page.status_code)
                return

    with ThreadPoolExecutor(len(readers)) as pool:
        waiting = [pool.submit(read, reader) for reader in readers]
        while True:
            with portal.session() as db:
                if (db.scalar(select(func.count()).select_from(Answer)) or 0) > 10:
                    break
        set_state(portal, study, "closed")
        with portal.session() as db:
            at_closing = db.scalar(select(func.count()).select_from(Answer))
        closed.set()
        for one in waiting:
            one.result()
    with portal.session() as db:
        assert db.scalar(select(func.count()).select_from(Answer)) == at_closing


def test_what_belongs_to_another_reader_does_not_exist(
    portal: Portal, study: Study, reading: Reading
) -> None:
    other = Reading(portal.client(portal.account("ben")), study.name)
    other.join()
    other.look()
    assert reading.client.get(f"/reading/images/{other.token}.png").status_code == 404
    assert reading.send({"rating": 8, "verdict": "real", "confidence": 3}, other.token).status_code == 404
    stranger = portal.client(portal.account("eve"))
    assert stranger.get(f"/reading/images/{other.token}.png").status_code == 404
    assert post(stranger, f"/studies/{study.name}/answers", {"token": other.token}).status_code == 404
    nobody = portal.client()
    assert nobody.get(f"/reading/images/{other.token}.png", follow_redirects=False).status_code == 303
    with portal.session() as db:
        assert answers_of(db, study) == []


def test_only_the_present_image_is_sent(portal: Portal, study: Study, reading: Reading) -> None:
    with portal.session() as db:
        tokens = list(db.scalars(select(Presentation.token).order_by(Presentation.position)))
    assert len(tokens) == len(set(tokens)) == PRESENTATIONS
    statuses = [reading.client.get(f"/reading/images/{token}.png").status_code for token in tokens]
    assert statuses == [200, *[404] * (PRESENTATIONS - 1)]
    reading.answer()
    assert reading.client.get(f"/reading/images/{tokens[0]}.png").status_code == 404


def test_administrators_do_not_take_part_and_one_who_was_a_reader_stops(
    portal: Portal, study: Study, reading: Reading
) -> None:
    administrator = portal.client(portal.account("boss", "administrator"))
    assert "do not take part" in administrator.get(f"/studies/{study.name}").text
    assert post(administrator, f"/studies/{study.name}/join", {"agreed": "yes"}).status_code == 409
    with portal.session() as db:
        assert db.scalar(select(func.count()).select_from(Participation)) == 1
        db.execute(update(Account).where(Account.username == "ana").values(role="administrator"))
        db.commit()
    reading.look()
    assert reading.send({"rating": 8, "verdict": "real", "confidence": 3}).status_code == 404


def test_nobody_takes_part_without_agreeing_and_twice_is_once(portal: Portal, study: Study) -> None:
    account = portal.account("ana", profession="radiologist", years=12, specialty="thorax")
    client = portal.client(account)
    assert post(client, f"/studies/{study.name}/join").status_code == 409
    for profile in ("yes", ""):
        post(client, f"/studies/{study.name}/join", {"agreed": "yes", "profile": profile})
    with portal.session() as db:
        (one,) = db.scalars(select(Participation)).all()
    assert (one.profession, one.years, one.specialty) == ("radiologist", 12, "thorax")
    ben = portal.client(portal.account("ben", profession="radiologist", years=3))
    post(ben, f"/studies/{study.name}/join", {"agreed": "yes"})
    with portal.session() as db:
        latest = db.scalars(select(Participation).order_by(Participation.id.desc())).first()
    assert latest is not None
    assert (latest.profession, latest.years) == ("", None)


@BOTH
def test_joining_on_two_devices_at_the_same_moment_draws_one_order(portal: Portal, study: Study) -> None:
    account = portal.account("ana")
    clients = [portal.client(account) for _ in range(4)]
    together = threading.Barrier(4)

    def join(number: int) -> int:
        together.wait()
        return post(clients[number], f"/studies/{study.name}/join", {"agreed": "yes"}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(join, range(4))) == [200] * 4
    with portal.session() as db:
        assert db.scalar(select(func.count()).select_from(Participation)) == 1
        assert db.scalar(select(func.count()).select_from(Presentation)) == PRESENTATIONS


def test_a_tumour_is_a_place_and_how_conspicuous_it_is(portal: Portal, store: Store) -> None:
    study = open_study(portal, store, ask_verdict=False, ask_tumour=True, warm_up=0)
    reading = Reading(portal.client(portal.account("ana")), study.name)
    reading.join()
    reading.look()
    assert reading.send({"rating": 8}).status_code == 422
    assert (
        reading.send({"rating": 8, "tumour": "seen", "tumour_x": "101", "tumour_y": "3"}).status_code == 422
    )
    reading.answer(tumour="seen", tumour_x="25.5", tumour_y="75", conspicuity=4)
    reading.answer(tumour="none", tumour_x="3", conspicuity=2)
    with portal.session() as db:
        first, second = (answer for _, _, answer in answers_of(db, study))
    assert (first.tumour_seen, first.tumour_x, first.tumour_y, first.conspicuity) == (True, 0.255, 0.75, 4)
    assert (second.tumour_seen, second.tumour_x, second.conspicuity, second.verdict) == (
        False,
        None,
        None,
        None,
    )


def test_a_study_that_is_a_draft_is_not_there(portal: Portal, study: Study, reading: Reading) -> None:
    set_state(portal, study, "draft")
    for path in ("", "/reading"):
        assert reading.client.get(f"/studies/{study.name}{path}").status_code == 404
    assert reading.client.get("/studies/nothing").status_code == 404
