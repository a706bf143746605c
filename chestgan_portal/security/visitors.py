"""Who sent a request: nobody in particular, a reader, or an administrator.

In: cookies. Out: a Visitor, kept at request.state.visitor for pages. A login lives on the server: the cookie holds a
random value, the database its sha256. Routes ask for what they need: `LoggedIn`, `Administrator`, `Database`.

The token of a form is the HMAC of the visitor's own cookie under a secret of the installation: a foreign page can make
a browser send the cookie, but cannot know the token. As a browser chooses what its cookie holds, each use of the secret
has a word of its own in front (`signature`): no token is good for anything else.
"""

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from anyio import CancelScope, CapacityLimiter, to_thread
from fastapi import Depends, HTTPException, Request, Response
from sqlalchemy import delete, inspect, or_, select, update
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from chestgan_portal.database.tables import Account, Login, now
from chestgan_portal.pages.languages import _

LIFETIME = timedelta(hours=12)  # of a login
IDLE = timedelta(hours=2)
_SEEN_EVERY = timedelta(minutes=1)
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
# Parts of the header User-Agent: each browser names the older ones too, so the more particular come first.
_BROWSERS = (
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iOS"), ("iPad", "iOS"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip


class NeedsLogin(Exception):
    """The page is for people with an account: the answer is the way to the login."""


class Forbidden(Exception):
    """The page is for another role, or the form was not sent from a page of ours."""


@dataclass(frozen=True)
class Visitor:
    """account: None for somebody who is not logged in. csrf: the token that this browser's forms carry."""

    account: Account | None
    csrf: str


async def database(request: Request) -> AsyncIterator[Session]:
    """A session until the route has made its response; not while that is sent, which a slow browser may draw out.

    Routes commit; what they do not commit is undone.
    """
    session = Session(request.app.state.engine, expire_on_commit=False)
    try:
        yield session
    except BaseException:
        # What failed in the database leaves the account without its columns, which the page of the error needs.
        visitor = getattr(request.state, "visitor", None)
        if visitor and visitor.account and inspect(visitor.account).expired_attributes:
            request.state.visitor = Visitor(None, visitor.csrf)
        raise
    finally:
        if session.in_transaction():
            # It asks the database. Not a thread of the common ones: all of those may wait for this connection.
            with CancelScope(shield=True):
                await to_thread.run_sync(session.close, limiter=CapacityLimiter(1))
        else:
            session.close()


Database = Annotated[Session, Depends(database, scope="function")]


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
    visitor = Visitor(account, signature(request, "form", value))
    request.state.visitor = visitor
    # Gives the connection back. With one in hand nobody may wait for a thread: all threads may be waiting for one.
    db.commit()
    return visitor


def signature(request: Request, use: str, value: str) -> str:
    """HMAC-SHA256 of a value under the secret of this installation, hex. use: one word per purpose, no colon."""
    return hmac.new(request.app.state.secret, f"{use}:{value}".encode(), hashlib.sha256).hexdigest()


def _logged_in(db: Session, value: str) -> Account | None:
    of_login = select(Login, Account).join(Account, Account.id == Login.account_id)
    found = db.execute(of_login.where(Login.id == digest(value))).one_or_none()
    time = now()
    if found is None:
        return None
    login, account = found
    if login.expires_at < time or login.seen_at < time - IDLE or account.disabled_at is not None:
        return None
    if time - login.seen_at > _SEEN_EVERY:
        # Not through the object: another tab may have ended this login meanwhile.
        db.execute(update(Login).where(Login.id == login.id).values(seen_at=time))
        db.commit()
    return account


def digest(value: str) -> str:
    """How secrets of browsers and links are kept: sha256, hex. They are random, so no salt is needed."""
    return hashlib.sha256(value.encode()).hexdigest()


def log_in(request: Request, response: Response, db: Session, account: Account) -> None:
    """Begin a login with a new cookie; whatever cookie the browser had before is worth nothing. Commits."""
    log_out(request, response, db)
    value, time = secrets.token_urlsafe(32), now()
    browser = browser_name(request.headers.get("user-agent", ""))
    db.add(Login(id=digest(value), account_id=account.id, browser=browser, expires_at=time + LIFETIME))
    db.execute(delete(Login).where(or_(Login.expires_at < time, Login.seen_at < time - IDLE)))
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


def end_logins(db: Session, account: Account, but: str = "") -> None:
    """End every login of an account, on all devices. but: the id of one that stays. The caller commits."""
    db.execute(delete(Login).where(Login.account_id == account.id, Login.id != but))


def this_login(request: Request) -> str:
    """The id of the login by which this request came; that of no login where it came by none."""
    return digest(request.cookies.get(cookie_name(request, "login"), ""))


def browser_name(agent: str) -> str:
    """`Firefox, Linux`, from the header User-Agent: enough for a person to know an own login again, and no more."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return ", ".join(filter(None, (browser, system)))


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


async def require_account(visitor: Identified) -> Account:
    """Raises NeedsLogin. Waits for nothing, so it needs no thread."""
    if visitor.account is None:
        raise NeedsLogin
    return visitor.account


LoggedIn = Annotated[Account, Depends(require_account)]


async def require_administrator(account: LoggedIn) -> Account:
    """Raises NeedsLogin, Forbidden."""
    if not account.is_administrator:
        raise Forbidden
    return account


Administrator = Annotated[Account, Depends(require_administrator)]


async def checked_form(request: Request, visitor: Identified) -> None:
    """Every request that changes something carries the token of its visitor. Raises Forbidden; HTTPException: 400."""
    if request.method in ("GET", "HEAD"):
        return
    form = await request.form()
    sent = request.headers.get(CSRF_HEADER)
    if sent is None:
        found = form.get(CSRF_FIELD)
        sent = found if isinstance(found, str) else ""
    if not hmac.compare_digest(sent.encode(errors="replace"), visitor.csrf.encode()):
        raise Forbidden
    _check_text(form)


def _check_text(form: FormData) -> None:
    """What no database takes: the character NUL, and halves of surrogate pairs."""
    for name, value in form.multi_items():
        for text in (name, value):
            if isinstance(text, str) and ("\0" in text or any("\ud800" <= one <= "\udfff" for one in text)):
                raise HTTPException(400, _("A field holds a character that no text has."))


# Of every router whose pages a browser opens.
BROWSER = [Depends(checked_form)]
