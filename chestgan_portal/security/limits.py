"""How often: attempts within a time, counted in the database, so that a restart forgets none.

In: a kind (login, register, contact, ...) and a subject (an address, a username). Out: whether one more is allowed.
"""

from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from chestgan_portal.database.tables import Attempt, now
from chestgan_portal.security.visitors import digest

_KEPT = timedelta(days=1)


class TooMany(Exception):
    """One attempt too many. seconds: after which the next is allowed at the latest."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"too many attempts; the next in {seconds} s")


def count_attempt(db: Session, kind: str, subject: str, allowed: int, within: timedelta) -> None:
    """Count one attempt; commits. Raises TooMany where there were as many as are allowed within this time already."""
    subject, time = digest(subject), now()
    of_subject = (Attempt.kind == kind) & (Attempt.subject == subject) & (Attempt.at > time - within)
    if (db.scalar(select(func.count()).select_from(Attempt).where(of_subject)) or 0) >= allowed:
        raise TooMany(int(within.total_seconds()))
    db.add(Attempt(kind=kind, subject=subject))
    db.execute(delete(Attempt).where(Attempt.at < time - _KEPT))
    db.commit()


def forget_attempts(db: Session, kind: str, subject: str) -> None:
    """After a success. The caller commits."""
    db.execute(delete(Attempt).where((Attempt.kind == kind) & (Attempt.subject == digest(subject))))
