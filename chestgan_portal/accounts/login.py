"""/login and /logout.

Guessing is limited without giving strangers a way to lock a person out. Failures are counted per address, and per
name as typed, whether there is such an account or not. A browser in which a person has logged in before keeps a
cookie that says so (for that account alone); its failures are counted by themselves, and it does not mind how often
others have guessed. So a stranger can at most keep the person from a first login in a new browser, for a quarter of an
hour. (OWASP calls this device cookies.)
"""

import hmac
import secrets
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from chestgan_portal.accounts.fields import plain_email, plain_username
from chestgan_portal.accounts.passwords import ONE_AT_A_TIME, fits, hashed, is_outdated
from chestgan_portal.database.tables import Account
from chestgan_portal.pages.choices import keep_choice
from chestgan_portal.pages.languages import COOKIE as LANGUAGE
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to, local_path, render
from chestgan_portal.security.addresses import client_address
from chestgan_portal.security.limits import count_attempt, forget_attempt
from chestgan_portal.security.visitors import (
    BROWSER,
    Database,
    Identified,
    cookie_name,
    log_in,
    log_out,
    set_cookie,
    signature,
)

WITHIN = timedelta(minutes=15)
OF_NAME, OF_BROWSER, OF_ADDRESS = 10, 10, 100  # failures; a clinic has one address
_KNOWN = timedelta(days=180)

router = APIRouter(dependencies=[ONE_AT_A_TIME, *BROWSER])


@router.get("/login")
def login_form(
    request: Request, visitor: Identified, next: Annotated[str, Query(max_length=400)] = ""
) -> Response:
    """Whoever is logged in goes on to `next`, by default to where the account works."""
    if visitor.account:
        return go_to(request, _after(next, visitor.account))
    return _form(request, next)


@router.post("/login")
def login(
    request: Request,
    db: Database,
    name: Annotated[str, Form(max_length=400)],
    password: Annotated[str, Form(max_length=400)],
    next: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """A username or e-mail, and the password."""
    account, typed = _account(db, name)
    attempts = _count(request, db, account, typed)
    if not fits(account.password_hash if account else None, password) or account is None:
        return _form(request, next, name=name, error=_("The name and the password do not belong together."))
    for attempt in attempts:
        forget_attempt(db, attempt)
    if account.disabled_at is not None:
        db.commit()
        return _form(
            request,
            next,
            name=name,
            error=_("An administrator has closed this account. Write to them if that is a mistake."),
        )
    if is_outdated(account.password_hash):
        account.password_hash = hashed(password)
    response = go_to(request, _after(next, account))
    log_in(request, response, db, account)
    _remember(request, response, account)
    if account.language:
        keep_choice(response, LANGUAGE, account.language)
    return response


@router.post("/logout")
def logout(request: Request, db: Database) -> Response:
    """Of this browser."""
    response = go_to(request, "/", said="logged-out")
    log_out(request, response, db)
    return response


def _form(request: Request, next: str, name: str = "", error: str = "") -> Response:
    to = local_path(next, default="")
    return render(request, "accounts/login.html", 422 if error else 200, next=to, name=name, error=error)


def _after(next: str, account: Account) -> str:
    return local_path(next, default="/admin" if account.is_administrator else "/studies")


def _account(db: Session, name: str) -> tuple[Account | None, str]:
    """The account of a username or e-mail, and the one form of what was typed."""
    typed, column = (
        (plain_email(name), Account.email) if "@" in name else (plain_username(name), Account.username)
    )
    return db.scalar(select(Account).where(column == typed)), typed


def _count(request: Request, db: Session, account: Account | None, typed: str) -> list[int]:
    if account and (mark := _known_mark(request, account)):
        return [count_attempt(db, "login of browser", f"{account.id}:{mark}", OF_BROWSER, WITHIN)]
    return [
        count_attempt(db, "login from address", client_address(request), OF_ADDRESS, WITHIN),
        count_attempt(db, "login of name", typed, OF_NAME, WITHIN),
    ]


def _remember(request: Request, response: Response, account: Account) -> None:
    mark = _known_mark(request, account) or secrets.token_urlsafe(16)
    value = f"{mark}.{signature(request, 'known', f'{account.id}:{mark}')}"
    set_cookie(request, response, "known", value, int(_KNOWN.total_seconds()))


def _known_mark(request: Request, account: Account) -> str:
    """What tells this browser from others in which the person logged in before; "" where nobody did in this one."""
    mark, _dot, signed = request.cookies.get(cookie_name(request, "known"), "").partition(".")
    expected = signature(request, "known", f"{account.id}:{mark}")
    return mark if hmac.compare_digest(signed.encode(errors="replace"), expected.encode()) else ""
