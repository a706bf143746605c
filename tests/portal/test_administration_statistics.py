"""Statistics: numbers of a period that are right for known answers, and say nothing where there are none."""

import csv
import io
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from chestgan_portal.administration.statistics import Period, statistics_of
from chestgan_portal.administration.statistics_pages import as_csv, choose
from chestgan_portal.database.tables import Answer, ContactMessage, Participation, Post, Presentation, Study
from tests.portal.clients import Portal

DAY = datetime(2026, 11, 10, 12, tzinfo=UTC)
PERIOD = Period(date(2026, 11, 10), date(2026, 11, 11))
BOTH = pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)


def answer(
    portal: Portal, study: str, reader: str, at: datetime, rating: int, seconds: float, part: str = "main"
) -> None:
    """One answer, with the study, reader and presentation that it needs."""
    with portal.session() as session:
        found = session.query(Study).filter_by(name=study).one_or_none()
        if found is None:
            found = Study(name=study, design={"set_name": "demo"}, created_by="boss", state="open")
            session.add(found)
            session.flush()
        person = session.query(Participation).filter_by(reader=reader).one_or_none()
        if person is None:
            person = Participation(study_id=found.id, reader=reader, seed=1)
            session.add(person)
            session.flush()
        position = session.query(Presentation).filter_by(participation_id=person.id).count()
        token = f"{reader}-{position}"
        shown = Presentation(
            participation_id=person.id, position=position, item=position, part=part, token=token
        )
        session.add(shown)
        session.flush()
        session.add(
            Answer(presentation_id=shown.id, rating=rating, seconds=seconds, answered_at=at, page="1")
        )
        session.commit()


@pytest.fixture
def answers(portal: Portal) -> None:
    """On two days, by two readers of one study and one of another; at the edges of the period, and a warm-up."""
    start = datetime(2026, 11, 10, tzinfo=UTC)
    answer(portal, "first", "r1", start, 2, 1.0)
    answer(portal, "first", "r1", DAY, 4, 3.0)
    answer(portal, "first", "r2", DAY, 6, 5.0, part="repeat")
    answer(portal, "=second", "r3", start + timedelta(days=2, microseconds=-1), 10, 200.0)
    answer(portal, "first", "r1", DAY, 9, 9.0, part="warm-up")
    answer(portal, "first", "r2", start - timedelta(microseconds=1), 1, 1.0)
    answer(portal, "first", "r2", start + timedelta(days=2), 1, 1.0)


@BOTH
def test_the_numbers_of_two_days_are_those_of_their_answers_without_the_warm_up(
    portal: Portal, answers: None
) -> None:
    with portal.session() as session:
        found = statistics_of(session, PERIOD)
    total = found.total
    assert (total.answers, total.readers, total.rating, total.seconds) == (4, 3, 5.5, 4.0)
    assert {rating: count for rating, count in found.ratings.items() if count} == {2: 1, 4: 1, 6: 1, 10: 1}
    assert list(found.ratings) == list(range(1, 11))
    assert {day: of_day.answers for day, of_day in found.by_day.items()} == {PERIOD.first: 3, PERIOD.last: 1}
    assert found.by_study["first"].readers == 2
    assert {name: count for name, count in found.seconds.items() if count} == {
        "0\N{EN DASH}2": 1,
        "2\N{EN DASH}5": 1,
        "5\N{EN DASH}10": 1,
        "\N{GREATER-THAN OR EQUAL TO} 120": 1,
    }


@BOTH
def test_messages_posts_and_accounts_are_counted_by_the_day_of_the_period(portal: Portal) -> None:
    with portal.session() as session:
        for at in (DAY, DAY - timedelta(days=3)):
            session.add(ContactMessage(name="A", email="a@x.example", text="t", at=at))
            session.add(Post(title="t", summary="s", text="t", author="a", published_at=at))
        session.commit()
    portal.account("old", created_at=DAY - timedelta(days=3))
    portal.account("new", created_at=DAY)
    with portal.session() as session:
        found = statistics_of(session, PERIOD)
    assert (found.messages, found.posts, found.accounts, found.all_accounts) == (1, 1, 1, 2)


def test_without_any_answer_there_is_a_dash_and_no_nan(administrator: TestClient) -> None:
    """The portal of the thesis shows NaN."""
    page = administrator.get("/admin/statistics").text
    assert "Nobody answered in this time." in page
    assert ">nan<" not in page.lower()
    assert '<dt>mean rating, 1 to 10</dt><dd class="numbers">\N{EN DASH}</dd>' in page
    for name in ("ratings", "days", "seconds"):
        assert administrator.get(f"/admin/statistics/{name}.png").status_code == 200
    assert administrator.get("/admin/statistics/answers.csv").text.count("\n") == 1


def test_the_page_shows_a_chosen_period_of_a_chosen_study(administrator: TestClient, answers: None) -> None:
    page = administrator.get("/admin/statistics?from=2026-11-10&to=2026-11-11&study=first").text
    assert '<dt>answers</dt><dd class="numbers">3</dd>' in page
    assert '<dt>mean rating, 1 to 10</dt><dd class="numbers">4.00</dd>' in page
    assert "From 10 Nov 2026 to 11 Nov 2026" in page
    assert "/admin/statistics/ratings.png?from=2026-11-10&amp;to=2026-11-11&amp;study=first" in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=yesterday", "This is not a day"),
        ("from=2026-02-30", "This is not a day"),
        ("to=20261130x", "This is not a day"),
        ("from=2026-11-11&to=2026-11-10", "The last day is before the first one."),
        ("from=0001-01-01", "outside of the years"),
        ("to=9999-12-31", "outside of the years"),
        ("from=2020-01-01&to=2026-11-11", "longer than five years"),
        ("study=nothing", "There is no such study."),
    ],
)
def test_a_period_that_cannot_be_used_is_said_at_its_field_and_the_last_month_is_shown(
    administrator: TestClient, query: str, said: str
) -> None:
    answered = administrator.get(f"/admin/statistics?{query}")
    assert answered.status_code == 422
    assert said in answered.text
    assert administrator.get(f"/admin/statistics/days.png?{query}").status_code == 200


def test_a_period_has_a_first_day_a_last_day_or_both() -> None:
    today = date(2026, 11, 29)
    assert choose("", "", "", [], today).period == Period(date(2026, 10, 31), today)
    assert choose("2026-11-20", "", "", [], today).period == Period(date(2026, 11, 20), today)
    assert choose("", "2026-03-31", "", [], today).period == Period(date(2026, 3, 2), date(2026, 3, 31))
    assert choose("2026-01-01", "2026-01-01", "", [], today).period.days == [date(2026, 1, 1)]


def test_too_long_a_parameter_or_an_unknown_chart_is_refused(administrator: TestClient) -> None:
    assert administrator.get(f"/admin/statistics?from={'9' * 99}").status_code == 422
    assert administrator.get("/admin/statistics/other.png").status_code in (404, 422)


def test_a_chart_is_a_png_whose_bars_grow_with_the_answers(
    portal: Portal, administrator: TestClient, answers: None
) -> None:
    def blue() -> int:
        found = administrator.get("/admin/statistics/ratings.png?from=2026-11-10&to=2026-11-11")
        assert found.headers["content-type"] == "image/png"
        pixels = np.asarray(Image.open(io.BytesIO(found.content)).convert("RGB")).astype(int)
        return int(((pixels[..., 2] - pixels[..., 0]) > 100).sum())

    # Four bars of the full height; then one of them is twice as high as the three others.
    before = blue()
    answer(portal, "first", "r1", DAY, 4, 3.0)
    assert blue() == pytest.approx(before * 2.5 / 4, rel=0.05)


def test_the_csv_has_a_row_per_day_and_study_and_no_cell_that_a_spreadsheet_runs(
    portal: Portal, administrator: TestClient, answers: None
) -> None:
    found = administrator.get("/admin/statistics/answers.csv?from=2026-11-10&to=2026-11-11")
    assert (
        found.headers["content-disposition"]
        == 'attachment; filename="chestgan-answers-2026-11-10-2026-11-11.csv"'
    )
    assert list(csv.reader(io.StringIO(found.text))) == [
        ["day", "study", "answers", "readers", "mean rating", "median seconds"],
        ["2026-11-10", "first", "3", "2", "4.000", "3.0"],
        ["2026-11-11", "'=second", "1", "1", "10.000", "200.0"],
    ]
    with portal.session() as session:
        assert as_csv(statistics_of(session, PERIOD)) == found.text
