"""Numbers about a period: what was written, who registered, and how readers answered.

In: the database, two days (both included, UTC) and a study by choice. Out: Statistics, whose means are None where
nothing was answered. Answers to warm-up images do not count. Which images are real is not in this database, so no
number here tells real from synthetic.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from statistics import fmean, median
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from chestgan_portal.database.tables import (
    Account,
    Answer,
    ContactMessage,
    Participation,
    Post,
    Presentation,
    Study,
)

RATINGS = range(1, 11)
# Upper ends in seconds of the bars of the time per image; the last bar has what took longer.
SECONDS = (2, 5, 10, 20, 30, 60, 120)


@dataclass(frozen=True)
class Period:
    """Days in UTC, both included. study: its name, "" for all."""

    first: date
    last: date
    study: str = ""

    @property
    def start(self) -> datetime:
        """The first moment of it."""
        return datetime.combine(self.first, datetime.min.time(), UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last, datetime.min.time(), UTC) + timedelta(days=1)

    @property
    def days(self) -> list[date]:
        """Each day of it."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


@dataclass(frozen=True)
class Answered:
    """An answer. study: its name. reader: random name, new for each study. rating: 1 to 10."""

    day: date
    study: str
    reader: str
    rating: int | None
    seconds: float


@dataclass(frozen=True)
class Numbers:
    """Of some answers. rating: mean of 1 to 10; seconds: median per image; None where nothing was answered."""

    answers: int
    readers: int
    rating: float | None
    seconds: float | None

    @classmethod
    def of(cls, answers: Sequence[Answered]) -> "Numbers":
        """Those of these answers."""
        ratings = [answer.rating for answer in answers if answer.rating is not None]
        return cls(
            len(answers),
            len({answer.reader for answer in answers}),
            fmean(ratings) if ratings else None,
            median(answer.seconds for answer in answers) if answers else None,
        )


@dataclass(frozen=True)
class Statistics:
    """messages, posts, accounts: made in the period, whatever the study. all_accounts: that exist now."""

    period: Period
    messages: int
    posts: int
    accounts: int
    all_accounts: int
    answers: tuple[Answered, ...]

    @property
    def total(self) -> Numbers:
        """Of all answers of the period."""
        return Numbers.of(self.answers)

    @property
    def by_study(self) -> dict[str, Numbers]:
        """Name of the study -> its numbers, of those with answers."""
        return {key: Numbers.of(some) for key, some in _grouped(self.answers, "study").items()}

    @property
    def by_day(self) -> dict[date, Numbers]:
        """Of days with answers."""
        return {key: Numbers.of(some) for key, some in _grouped(self.answers, "day").items()}

    @property
    def ratings(self) -> dict[int, int]:
        """1 to 10 -> how often it was given."""
        counts = Counter(answer.rating for answer in self.answers)
        return {rating: counts[rating] for rating in RATINGS}

    @property
    def seconds(self) -> dict[str, int]:
        """`2 to 5` seconds -> how many images took so long."""
        ends = Counter(next((end for end in SECONDS if answer.seconds < end), 0) for answer in self.answers)
        starts = dict(zip(SECONDS, (0, *SECONDS[:-1]), strict=True))
        bars = {f"{starts[end]}\N{EN DASH}{end}": ends[end] for end in SECONDS}
        return {**bars, f"\N{GREATER-THAN OR EQUAL TO} {SECONDS[-1]}": ends[0]}


def statistics_of(db: Session, period: Period) -> Statistics:
    """The numbers of a period, from columns without names, addresses or texts."""
    return Statistics(
        period,
        messages=_count(db, ContactMessage.at, period),
        posts=_count(db, Post.published_at, period),
        accounts=_count(db, Account.created_at, period),
        all_accounts=db.scalar(select(func.count()).select_from(Account)) or 0,
        answers=tuple(
            Answered(at.date(), study, reader, rating, seconds)
            for at, study, reader, rating, seconds in db.execute(_answers(period))
        ),
    )


def _answers(period: Period) -> Select[datetime, str, str, int | None, float]:
    columns = (Answer.answered_at, Study.name, Participation.reader, Answer.rating, Answer.seconds)
    query = (
        select(*columns)
        .join(Presentation, Presentation.id == Answer.presentation_id)
        .join(Participation, Participation.id == Presentation.participation_id)
        .join(Study, Study.id == Participation.study_id)
        .where(Presentation.part != "warm-up")
        .where(Answer.answered_at >= period.start, Answer.answered_at < period.end)
        .order_by(Answer.answered_at)
    )
    return query.where(Study.name == period.study) if period.study else query


def _count(db: Session, column: Any, period: Period) -> int:
    counted = select(func.count()).where(column >= period.start, column < period.end)
    return db.scalar(counted) or 0


def _grouped(answers: Sequence[Answered], name: str) -> dict[Any, list[Answered]]:
    key = attrgetter(name)
    return {value: list(some) for value, some in groupby(sorted(answers, key=key), key)}
