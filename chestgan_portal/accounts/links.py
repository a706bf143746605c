"""One-time links: an invitation to register, a new password. Only the sha256 of their secret is kept.

A link works as long as who made it is an administrator, and once: whoever marks it as used in the database first has
used it, in the transaction of what it is for.
"""

import secrets
from datetime import timedelta
from typing import Literal

from fastapi import Request
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from chestgan_portal.database.tables import Account, OneTimeLink, now
from chestgan_portal.pages.languages import _
from chestgan_portal.security.addresses import client_address
from chestgan_portal.security.limits import count_attempt
from chestgan_portal.security.visitors import digest

Kind = Literal["invitation", "reset"]
RESET_LASTS = timedelta(days=2)
_WRONG, _WITHIN = 30, timedelta(hours=1)  # links that one address may get wrong


class Unusable(Exception):
    """A link that does not work, and why: a sentence for the person, translated."""


def invite(db: Session, administrator: Account, role: str, note: str, lasts: timedelta) -> str:
    """A new invitation; returns its secret, which nobody sees again. The caller commits."""
    link = OneTimeLink(kind="invitation", role=role, note=note, expires_at=now() + lasts)
    return _add(db, administrator, link)


def allow_reset(db: Session, administrator: Account, account: Account) -> str:
    """A new link for a new password; those before it work no more. The caller commits."""
    withdraw_resets(db, account)
    link = OneTimeLink(kind="reset", account_id=account.id, expires_at=now() + RESET_LASTS)
    return _add(db, administrator, link)


def withdraw_resets(db: Session, account: Account) -> None:
    """The caller commits."""
    db.execute(delete(OneTimeLink).where(OneTimeLink.account_id == account.id, OneTimeLink.used_at.is_(None)))


def withdraw_made_by(db: Session, account: Account) -> None:
    """Of somebody who administers no more: a link would lead back into the role, or into another account."""
    db.execute(delete(OneTimeLink).where(OneTimeLink.made_by == account.id, OneTimeLink.used_at.is_(None)))


def find_link(request: Request, db: Session, kind: Kind, secret: str) -> OneTimeLink:
    """The link of a secret, while it works. Raises Unusable; TooMany: this address has tried many wrong ones."""
    link = db.get(OneTimeLink, digest(secret))
    if link is None or link.kind != kind:
        count_attempt(db, "link", client_address(request), _WRONG, _WITHIN)
        raise Unusable(_("There is no such link. Check that you have copied all of it."))
    check_link(link)
    return link


def check_link(link: OneTimeLink) -> None:
    """Raises Unusable."""
    if link.used_at is not None:
        raise Unusable(_("This link was used already; each works once. Ask an administrator for a new one."))
    if link.expires_at < now():
        raise Unusable(_("This link has expired. Ask an administrator for a new one."))


def use_link(db: Session, link: OneTimeLink) -> bool:
    """Mark it as used; False where somebody else was faster. The caller commits, with what the link is for."""
    time = now()
    unused = (OneTimeLink.id == link.id, OneTimeLink.used_at.is_(None), OneTimeLink.expires_at >= time)
    used = db.execute(update(OneTimeLink).where(*unused).values(used_at=time).returning(OneTimeLink.id))
    return used.first() is not None


def _add(db: Session, administrator: Account, link: OneTimeLink) -> str:
    secret = secrets.token_urlsafe(32)
    link.id, link.made_by = digest(secret), administrator.id
    db.add(link)
    return secret
