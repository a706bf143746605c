"""Who sent a request: nobody in particular, a reader, or an administrator.

In: cookies. Out: a Visitor, kept at request.state.visitor for pages. A login lives on the server: the cookie holds a
random value, the database its sha256. Routes ask for what they need: `LoggedIn`, `Administrator`, `Database`.

The token of a form is the HMAC of the visitor's own cookie under a secret of the installation: a foreign page can make
a browser send the cookie, but cannot know the token.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request, Response
from sqlalchemy import delete
from sqlalchemy.orm import Session

from chestgan_portal.database.tables import Account, Login, now

LIFETIME = timedelta(hours=12)  # of a login
IDLE = timedelta(hours=2)
_SEEN_EVERY = timedelta(minutes=1)
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"


class NeedsLogin(Exception):
    """The page is for people with an account: the answer is the way to the login."""


class Forbidden(Exception):
    """The page is for another role, or the form was not sent from a page of ours."""


@dataclass(frozen=True)
class Visitor:
    """account: None for somebody who is not logged in. csrf: the token that this browser's forms carry."""

    account: Account | None
    csrf: str


def database(request: Request) -> Iterator[Session]:
    """A session until the response is made. Routes commit; what they do not commit is undone."""
    with Session(request.app.state.engine, expire_on_commit=False) as session:
        yield session


Database = Annotated[Session, Depends(database)]


def cookie_name(request: Request, name: str) -> str:
    """`__Host-` binds a cookie to this host and to https; browsers refuse it over http."""
    return f"__Host-chestgan-{name}" if request.app.state.settings.https else f"chestgan-{name}"


def identify(request: Request, response: Response, db: Database) -> Visitor:
    """The visitor of this request. One without any cookie gets a random one, for the token of forms."""
    account, value = None, request.cookies.get(cookie_name(request, "login"), "")
    if value:
        account = _logged_in(db, value)
    if account is None:
        value = request.cookies.get(cookie_name(request, "visitor"), "")
        if not value:
            value = secrets.token_urlsafe(32)
            request.state.new_visitor = value  # the page sets the cookie
    visitor = Visitor(account, _token(request, value))
    request.state.visitor = visitor
    return visitor


def _token(request: Request, value: str) -> str:
    return hmac.new(request.app.state.secret, value.encode(), hashlib.sha256).hexdigest()


def _logged_in(db: Session, value: str) -> Account | None:
    login = db.get(Login, digest(value))
    time = now()
    if login is None or login.expires_at < time or login.seen_at < time - IDLE:
        return None
    account = db.get(Account, login.account_id)
    if account is None or account.disabled_at is not None:
        return None
    if time - login.seen_at > _SEEN_EVERY:
        login.seen_at = time
        db.commit()
    return account


def digest(value: str) -> str:
    """How secrets of browsers and links are kept: sha256, hex. They are random, so no salt is needed."""
    return hashlib.sha256(value.encode()).hexdigest()


def log_in(request: Request, response: Response, db: Session, account: Account) -> None:
    """Begin a login with a new cookie; whatever cookie the browser had before is worth nothing. Commits."""
    log_out(request, response, db)
    value = secrets.token_urlsafe(32)
    db.add(Login(id=digest(value), account_id=account.id, expires_at=now() + LIFETIME))
    db.execute(delete(Login).where(Login.expires_at < now()))
    db.commit()
    set_cookie(request, response, "login", value, int(LIFETIME.total_seconds()))


def log_out(request: Request, response: Response, db: Session) -> None:
    """End the login of this browser, and its visitor's cookie. Commits."""
    if value := request.cookies.get(cookie_name(request, "login")):
        db.execute(delete(Login).where(Login.id == digest(value)))
        db.commit()
    for name in ("login", "visitor"):
        response.delete_cookie(
            cookie_name(request, name), path="/", secure=request.app.state.settings.https, httponly=True
        )


def end_logins(db: Session, account: Account) -> None:
    """End every login of an account, on all devices. The caller commits."""
    db.execute(delete(Login).where(Login.account_id == account.id))


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int | None) -> None:
    """A cookie that scripts cannot read and other sites do not send with forms. seconds: None ends with the browser."""
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=seconds,
        path="/",
        secure=request.app.state.settings.https,
        httponly=True,
        samesite="lax",
    )


Identified = Annotated[Visitor, Depends(identify)]


def require_account(visitor: Identified) -> Account:
    """Raises NeedsLogin."""
    if visitor.account is None:
        raise NeedsLogin
    return visitor.account


LoggedIn = Annotated[Account, Depends(require_account)]


def require_administrator(account: LoggedIn) -> Account:
    """Raises NeedsLogin, Forbidden."""
    if not account.is_administrator:
        raise Forbidden
    return account


Administrator = Annotated[Account, Depends(require_administrator)]


async def checked_form(request: Request, visitor: Identified) -> None:
    """Every request that changes something carries the token of its visitor. Raises Forbidden."""
    if request.method in ("GET", "HEAD"):
        return
    sent = request.headers.get(CSRF_HEADER)
    if sent is None:
        found = (await request.form()).get(CSRF_FIELD)
        sent = found if isinstance(found, str) else ""
    if not hmac.compare_digest(sent.encode(), visitor.csrf.encode()):
        raise Forbidden


# Of every router whose pages a browser opens.
BROWSER = [Depends(checked_form)]
