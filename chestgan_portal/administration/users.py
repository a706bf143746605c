"""/admin/users: accounts and invitations: search, role, close and open again, links for a new password, delete.

What an administrator sees of a person is on these pages: no password's hash, no professional number, no answers. Links
are shown once, on the page that answers the form, as only their sha256 is kept. All is in the audit log.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, HTTPException, Path, Query, Request, Response
from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import Session

from chestgan_portal.accounts.deletion import LastAdministrator, delete_account, keep_an_administrator
from chestgan_portal.accounts.links import allow_reset, invite, withdraw_made_by
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import Account, Login, OneTimeLink, Participation, now
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.paging import Number, page_of
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.security.visitors import BROWSER, Administrator, Database, end_logins

router = APIRouter(prefix="/admin/users", dependencies=BROWSER)
Key = Annotated[int, Path(ge=1, le=2**31 - 1)]
Role = Literal["reader", "administrator"]
Search = Annotated[str, Query(max_length=254)]
_MOST_INVITATIONS = 100  # that are listed, the newest


@router.get("")
def users(
    request: Request, administrator: Administrator, db: Database, search: Search = "", page: Number = 1
) -> Response:
    """By username; `search` is looked for in username, name and e-mail."""
    found = page_of(db, _matching(search), page)
    invitations = (
        select(OneTimeLink)
        .where(OneTimeLink.kind == "invitation")
        .order_by(OneTimeLink.created_at.desc(), OneTimeLink.id)
        .limit(_MOST_INVITATIONS)
    )
    return render(
        request,
        "administration/users.html",
        found=found,
        search=search,
        invitations=db.scalars(invitations).all(),
        time=now(),
    )


@router.post("/invitations")
def create_invitation(
    request: Request,
    administrator: Administrator,
    db: Database,
    role: Annotated[Role, Form()] = "reader",
    days: Annotated[int, Form(ge=1, le=30)] = 7,
    note: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """The link, for whoever is to have it: shown here and never again."""
    note = " ".join(note.split())
    secret = invite(db, administrator, role, note, timedelta(days=days))
    note_deed(db, administrator, "invite", f"{role}: {note}" if note else role)
    db.commit()
    about = (
        _("Whoever uses it first makes an account that administers this portal.")
        if role == "administrator"
        else _("Whoever uses it first makes an account as a reader.")
    )
    return _link(request, _("An invitation"), about, f"/invitation/{secret}", days)


@router.post("/invitations/{link}/withdraw")
def withdraw_invitation(
    request: Request, administrator: Administrator, db: Database, link: Annotated[str, Path(max_length=64)]
) -> Response:
    """Its link works no more. A used one has become an account, and stays in the list."""
    unused = (OneTimeLink.id == link, OneTimeLink.kind == "invitation", OneTimeLink.used_at.is_(None))
    gone = db.execute(
        delete(OneTimeLink).where(*unused).returning(OneTimeLink.role, OneTimeLink.note)
    ).first()
    if gone is None:
        raise HTTPException(404)
    note_deed(db, administrator, "withdraw invitation", f"{gone.role}: {gone.note}".removesuffix(": "))
    db.commit()
    return go_to(request, "/admin/users", said="deleted")


@router.get("/{key}")
def user(request: Request, administrator: Administrator, db: Database, key: Key) -> Response:
    """One account, and what can be done with it."""
    return _page(request, db, _account(db, key))


@router.post("/{key}/role")
def change_role(
    request: Request, administrator: Administrator, db: Database, key: Key, role: Annotated[Role, Form()]
) -> Response:
    """Also one's own, unless nobody else is an administrator."""

    def change(account: Account) -> None:
        if role != "administrator":
            keep_an_administrator(db, account)
            withdraw_made_by(db, account)
        account.role = role

    return _do(request, db, administrator, key, f"make {role}", change)


@router.post("/{key}/close")
def close(request: Request, administrator: Administrator, db: Database, key: Key) -> Response:
    """Ends all logins, and lets nobody log in, until the account is opened again."""

    def change(account: Account) -> None:
        keep_an_administrator(db, account)
        account.disabled_at = now()
        end_logins(db, account)
        withdraw_made_by(db, account)

    return _do(request, db, administrator, key, "close account", change)


@router.post("/{key}/open")
def open_again(request: Request, administrator: Administrator, db: Database, key: Key) -> Response:
    """After it was closed."""

    def change(account: Account) -> None:
        account.disabled_at = None

    return _do(request, db, administrator, key, "open account", change)


@router.post("/{key}/delete")
def delete_user(request: Request, administrator: Administrator, db: Database, key: Key) -> Response:
    """For good, as the person could do it; one's own account is deleted on its own page, with the password."""
    if key == administrator.id:
        raise HTTPException(404)
    change: Callable[[Account], None] = partial(delete_account, db)
    return _do(request, db, administrator, key, "delete account", change, "/admin/users", "deleted")


@router.post("/{key}/reset")
def create_reset(request: Request, administrator: Administrator, db: Database, key: Key) -> Response:
    """The link to a new password: shown here and never again. The old password works until the link is used."""
    account = _account(db, key)
    secret = allow_reset(db, administrator, account)
    note_deed(db, administrator, "make link for a new password", account.username)
    db.commit()
    about = _("Whoever uses it first sets a new password for %(username)s. Make sure that it is this person.")
    return _link(
        request, _("A link to a new password"), about % {"username": account.username}, f"/reset/{secret}", 2
    )


def _matching(search: str) -> Select[Any]:
    query = select(Account).order_by(Account.username)
    if words := search.strip().lower():
        columns = (func.lower(column) for column in (Account.username, Account.name, Account.email))
        query = query.where(or_(*(column.contains(words, autoescape=True) for column in columns)))
    return query


def _account(db: Session, key: int) -> Account:
    account = db.get(Account, key)
    if account is None:
        raise HTTPException(404)
    return account


def _do(
    request: Request,
    db: Session,
    administrator: Account,
    key: int,
    deed: str,
    change: Callable[[Account], None],
    then: str = "",
    said: str = "saved",
) -> Response:
    """Change one account and note it, or neither."""
    account = _account(db, key)
    try:
        change(account)
    except LastAdministrator:
        text = _("This is the only administrator. Give the role to somebody else first.")
        return _page(request, db, _account(db, key), text)
    note_deed(db, administrator, deed, account.username)
    db.commit()
    if account.id == administrator.id and not account.is_administrator:
        then = "/account"
    return go_to(request, then or f"/admin/users/{key}", said=said)


def _page(request: Request, db: Session, account: Account, error: str = "") -> Response:
    studies = select(func.count()).where(Participation.account_id == account.id)
    seen = select(func.max(Login.seen_at)).where(Login.account_id == account.id)
    return render(
        request,
        "administration/users_one.html",
        409 if error else 200,
        account=account,
        studies=db.scalar(studies),
        seen=db.scalar(seen),
        error=error,
    )


def _link(request: Request, title: str, about: str, path: str, days: int) -> Response:
    scheme = "https" if request.app.state.settings.https else request.url.scheme
    address = f"{scheme}://{request.headers['host']}{path}"
    return render(
        request, "administration/users_link.html", title=title, about=about, address=address, days=days
    )
