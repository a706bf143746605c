"""How often: attempts within a time, counted in the database, so that a restart forgets none.

In: a kind (login, register, contact, ...) and a subject (`client_address` of addresses.py, a username). Out: whether
one more is allowed.
"""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from chestgan_portal.database.tables import Attempt, now
from chestgan_portal.security.visitors import digest

_KEPT = timedelta(days=1)


class TooMany(Exception):
    """One attempt too many. seconds: after which the next is allowed at the latest."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"too many attempts; the next in {seconds} s")


def count_attempt(db: Session, kind: str, subject: str, allowed: int, within: timedelta) -> int:
    """Count one attempt, and return its key; commits.

    Raises TooMany where there were as many as are allowed within this time already; such attempts are not counted, so
    that the wait ends. Of requests at the same moment a few more may pass.
    """
    subject, time = digest(subject), now()
    of_subject = (Attempt.kind == kind) & (Attempt.subject == subject) & (Attempt.at > time - within)
    newest = select(Attempt.at).where(of_subject).order_by(Attempt.at.desc()).limit(1).offset(allowed - 1)
    if (oldest := db.scalar(newest)) is not None:
        raise TooMany(max(1, int((oldest + within - time).total_seconds()) + 1))
    attempt = Attempt(kind=kind, subject=subject)
    db.add(attempt)
    db.execute(delete(Attempt).where(Attempt.at < time - _KEPT))
    db.commit()
    return attempt.id


def forget_attempt(db: Session, attempt: int) -> None:
    """After a success where failures are limited: this one, and none of those before it. The caller commits."""
    db.execute(delete(Attempt).where(Attempt.id == attempt))
