"""/admin/statistics: numbers of a period with charts, tables and a CSV file."""

import csv
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response

from chestgan_core.errors import ChestganError
from chestgan_core.escaping import csv_cell
from chestgan_core.reading.stored_result import read_numbers
from chestgan_portal.administration.statistics import Period, Statistics, statistics_of
from chestgan_portal.database.tables import NAME, Study, now
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import render
from chestgan_portal.reading.results import result_artefact
from chestgan_portal.security.visitors import BROWSER, Administrator, Database

_DAYS = 30  # of a period that nobody chose
_OLDEST, _LONGEST = date(2020, 1, 1), 366 * 5  # days
_CLOSED = 50  # studies whose results are read for a page

log = logging.getLogger(__name__)
router = APIRouter(prefix="/admin/statistics", dependencies=BROWSER)
Day = Annotated[str, Query(max_length=10)]
From = Annotated[str, Query(alias="from", max_length=10)]
To = Annotated[str, Query(alias="to", max_length=10)]
Name = Annotated[str, Query(max_length=NAME)]


@dataclass
class Chosen:
    """The period, and what of the form was wrong: field -> sentence. texts: what the form holds."""

    period: Period
    texts: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def query(self) -> str:
        """Of the addresses of charts and file."""
        values = {"from": self.period.first.isoformat(), "to": self.period.last.isoformat()}
        return urlencode(values | ({"study": self.period.study} if self.period.study else {}))


@router.get("")
def statistics(
    request: Request,
    administrator: Administrator,
    db: Database,
    since: From = "",
    until: To = "",
    study: Name = "",
) -> Response:
    """The page."""
    names = list(db.scalars(select(Study.name).order_by(Study.name)))
    chosen = choose(since, until, study, names)
    return render(
        request,
        "administration/statistics.html",
        422 if chosen.errors else 200,
        chosen=chosen,
        numbers=statistics_of(db, chosen.period),
        studies={"": _("all studies")} | {name: name for name in names},
        closed=closed_studies(request, db),
    )


@router.get("/{name}.png")
def chart(
    request: Request,
    administrator: Administrator,
    db: Database,
    name: Literal["ratings", "days", "seconds"],
    since: From = "",
    until: To = "",
    study: Name = "",
) -> Response:
    """A chart of the page."""
    # matplotlib takes most of a second to load, which no other page needs.
    from chestgan_portal.administration.statistics_charts import draw

    numbers = _numbers(db, since, until, study)
    titles: Mapping[str, Mapping[str, str]] = {
        "ratings": {"x": _("rating of realism"), "y": _("answers")},
        "days": {"x": _("day (UTC)"), "y": _("answers")},
        "seconds": {"x": _("seconds per image"), "y": _("answers")},
    }
    return Response(draw(name, numbers, titles[name]), media_type="image/png")


@router.get("/answers.csv")
def export(
    request: Request,
    administrator: Administrator,
    db: Database,
    since: From = "",
    until: To = "",
    study: Name = "",
) -> Response:
    """Answers per day and study as a table for spreadsheets."""
    numbers = _numbers(db, since, until, study)
    name = f"chestgan-answers-{numbers.period.first}-{numbers.period.last}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(as_csv(numbers), media_type="text/csv; charset=utf-8", headers=headers)


def closed_studies(request: Request, db: Session) -> list[tuple[Study, float | None, float | None]]:
    """Studies with a result, the newest first, with the mean ratings of real and of synthetic images; None: unknown.

    The truth comes with the result, from the store; one that cannot be read now has no means.
    """
    query = select(Study).where(Study.state == "closed", Study.result_version != "")
    found: list[tuple[Study, float | None, float | None]] = []
    for study in db.scalars(query.order_by(Study.closed_at.desc()).limit(_CLOSED)):
        try:
            store = request.app.state.store()
            ratings = read_numbers(store, result_artefact(store, study)).ratings
            found.append((study, ratings.real.mean, ratings.synthetic.mean))
        except ChestganError as error:
            log.warning("statistics: %s", error)
            found.append((study, None, None))
    return found


def choose(since: str, until: str, study: str, names: list[str], today: date | None = None) -> Chosen:
    """The period of a form; where a part of it cannot be used, the last 30 days, and a sentence that says so."""
    today = today or now().date()
    default = Period(today - timedelta(days=_DAYS - 1), today)
    texts = {"from": since, "to": until, "study": study}
    errors = {}
    days = {"from": default.first, "to": default.last}
    for name, text in (("from", since), ("to", until)):
        try:
            days[name] = date.fromisoformat(text) if text else days[name]
        except ValueError:
            errors[name] = _("This is not a day. Write it as 2026-11-30.")
    # Only the end was chosen: the month before it.
    if until and not since and not errors:
        days["from"] = max(_OLDEST, days["to"] - timedelta(days=_DAYS - 1))
    if not errors:
        if days["from"] > days["to"]:
            errors["to"] = _("The last day is before the first one.")
        elif days["from"] < _OLDEST or days["to"] > today + timedelta(days=366):
            errors["from"] = _("This is outside of the years that this portal has.")
        elif (days["to"] - days["from"]).days > _LONGEST:
            errors["from"] = _("This is longer than five years.")
    if study and study not in names:
        errors["study"] = _("There is no such study.")
    if errors:
        return Chosen(default, texts, errors)
    period = Period(days["from"], days["to"], study)
    return Chosen(period, texts | {"from": period.first.isoformat(), "to": period.last.isoformat()})


def as_csv(numbers: Statistics) -> str:
    """One row per day and study with answers."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("day", "study", "answers", "readers", "mean rating", "median seconds"))
    for day in numbers.by_day:
        of_day = [answer for answer in numbers.answers if answer.day == day]
        for study, found in Statistics(numbers.period, 0, 0, 0, 0, tuple(of_day)).by_study.items():
            rating = "" if found.rating is None else f"{found.rating:.3f}"
            seconds = "" if found.seconds is None else f"{found.seconds:.1f}"
            writer.writerow((day.isoformat(), csv_cell(study), found.answers, found.readers, rating, seconds))
    return text.getvalue()


def _numbers(db: Session, since: str, until: str, study: str) -> Statistics:
    names = list(db.scalars(select(Study.name)))
    return statistics_of(db, choose(since, until, study, names).period)
