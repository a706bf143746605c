"""How far the readers of a study have come, by their random names: never how well.

In: a study. Out: a row per reader. Who has stopped is said only by the time of the last answer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chestgan_portal.database.tables import Answer, Participation, Presentation, Study, now

QUIET = timedelta(days=7)  # without an answer: the page says so


@dataclass(frozen=True)
class Progress:
    """standing: finished, reading, quiet (for a week), not begun; once the study is closed, unfinished ones stopped."""

    reader: str
    joined_at: datetime
    answered: int
    presentations: int
    last_at: datetime | None
    standing: str
    minutes: float


def progress_of(db: Session, study: Study) -> list[Progress]:
    """In the order in which they joined."""
    counted = (
        select(
            Participation,
            func.count(Presentation.id),
            func.count(Answer.presentation_id),
            func.max(Answer.answered_at),
            func.coalesce(func.sum(Answer.seconds), 0.0),
        )
        .outerjoin(Presentation, Presentation.participation_id == Participation.id)
        .outerjoin(Answer, Answer.presentation_id == Presentation.id)
        .where(Participation.study_id == study.id)
        .group_by(Participation.id)
        .order_by(Participation.joined_at, Participation.id)
    )
    return [
        Progress(
            reader=one.reader,
            joined_at=one.joined_at,
            answered=answered,
            presentations=presentations,
            last_at=last,
            standing=_standing(study, one, answered, last),
            minutes=seconds / 60,
        )
        for one, presentations, answered, last, seconds in db.execute(counted)
    ]


def _standing(study: Study, one: Participation, answered: int, last: datetime | None) -> str:
    if one.finished_at is not None:
        return "finished"
    if study.state == "closed":
        return "stopped" if answered else "not begun"
    if (last or one.joined_at) < now() - QUIET:
        return "quiet"
    return "reading" if answered else "not begun"
