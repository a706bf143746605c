"""What waits for an administrator: the numbers in the tabs of the administration.

In: the request of a page. Out: unread messages, and notifications of the last day. A function of the templates, so that
every page that includes the tabs shows the numbers without asking for them.
"""

from dataclasses import dataclass
from datetime import timedelta

from fastapi import Request
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chestgan_portal.database.tables import ContactMessage, Notification, now
from chestgan_portal.pages.render import environment

NEW = timedelta(days=1)  # age up to which a notification counts


@dataclass(frozen=True)
class Counts:
    """messages: that nobody has read. notifications: received within the last day."""

    messages: int
    notifications: int


def administration_counts(request: Request) -> Counts:
    """Those of this moment."""
    unread = select(func.count()).select_from(ContactMessage).where(ContactMessage.read_at.is_(None))
    fresh = select(func.count()).select_from(Notification).where(Notification.received_at > now() - NEW)
    with Session(request.app.state.engine) as db:
        return Counts(db.scalar(unread) or 0, db.scalar(fresh) or 0)


environment.globals["administration_counts"] = administration_counts
