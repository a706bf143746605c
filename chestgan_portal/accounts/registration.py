"""/register, where everybody may, and /invitation/{secret}: a form that makes an account.

Usernames are seen by others, so a taken one is called taken. That an e-mail has an account already is told to nobody:
the answer is that of a success, nothing is made, an invitation stays unused, and the page of the login says what to do.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Request, Response
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from chestgan_portal.accounts import fields
from chestgan_portal.accounts.links import Unusable, check_link, find_link, use_link
from chestgan_portal.accounts.passwords import ONE_AT_A_TIME, chosen_password, hashed
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import Account, Deed, OneTimeLink, Post, Study
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.security.addresses import client_address
from chestgan_portal.security.limits import count_attempt
from chestgan_portal.security.visitors import BROWSER, Database

_OF_ADDRESS, _OF_INVITATION, _WITHIN = 60, 20, timedelta(hours=1)

router = APIRouter(dependencies=[ONE_AT_A_TIME, *BROWSER])
Secret = Annotated[str, Path(max_length=200)]
Text = Annotated[str, Form(max_length=400)]
NO_ERRORS: Mapping[str, str] = {}
FIELDS = ("username", "name", "email", "number", "profession", "specialty", "years", "language")


def typed(
    username: Text = "",
    name: Text = "",
    email: Text = "",
    password: Text = "",
    again: Text = "",
    number: Text = "",
    profession: Text = "",
    specialty: Text = "",
    years: Text = "",
    language: Text = "",
) -> dict[str, str]:
    """The fields of the form. What is missing is empty, and said to be so beside the field."""
    return dict(locals())


Typed = Annotated[dict[str, str], Depends(typed)]


@router.get("/register")
def register_form(request: Request) -> Response:
    """404 where accounts are by invitation: the page then says how to get one."""
    return _form(request) if _is_open(request) else _closed(request)


@router.post("/register")
def register(request: Request, db: Database, form: Typed) -> Response:
    """Everybody, where the setting says so."""
    if not _is_open(request):
        return _closed(request)
    count_attempt(db, "registration", client_address(request), _OF_ADDRESS, _WITHIN)
    return _register(request, db, form)


@router.get("/invitation/{secret}")
def invitation_form(request: Request, db: Database, secret: Secret) -> Response:
    """Whoever has the link."""
    try:
        return _form(request, find_link(request, db, "invitation", secret), path=request.url.path)
    except Unusable as error:
        return _unusable(request, error)


@router.post("/invitation/{secret}")
def accept_invitation(request: Request, db: Database, secret: Secret, form: Typed) -> Response:
    """Makes the account in the role that the invitation is for."""
    try:
        link = find_link(request, db, "invitation", secret)
        count_attempt(db, "invitation", link.id, _OF_INVITATION, _WITHIN)
        return _register(request, db, form, link)
    except Unusable as error:
        return _unusable(request, error)


def username_is_taken(db: Session, username: str) -> bool:
    """By anybody, also one who is gone or has another name by now and still stands in the audit log or below a post."""
    columns = (Account.username, Deed.administrator, Post.author, Study.created_by)
    return any(db.scalar(select(column).where(column == username).limit(1)) is not None for column in columns)


def email_is_taken(db: Session, email: str) -> bool:
    """By anybody."""
    return db.scalar(select(Account.id).where(Account.email == email)) is not None


def _register(
    request: Request, db: Session, form: dict[str, str], link: OneTimeLink | None = None
) -> Response:
    values, errors = _check(request, form)
    if "username" in values and username_is_taken(db, values["username"]):
        errors["username"] = _("This username is taken.")
    if errors:
        return _form(request, link, path=request.url.path, form=form, errors=errors)
    account = Account(
        **{key: value for key, value in values.items() if key != "password"},
        password_hash=hashed(values["password"]),
        role=link.role if link else "reader",
    )
    done = go_to(request, "/login", said="registered")
    if email_is_taken(db, account.email):
        # Costs what the other way costs: a row, and the disk's word that it is there.
        count_attempt(db, "registration again", account.email, 1 << 30, _WITHIN)
        return done
    if link and not use_link(db, link):
        db.rollback()
        check_link(link)
    db.add(account)
    if account.is_administrator:
        note_deed(db, account, "become administrator by invitation", account.username)
    try:
        db.commit()
    except IntegrityError:  # somebody else took the username or has the e-mail, a moment ago
        db.rollback()
        if username_is_taken(db, account.username):
            errors = {"username": _("This username is taken.")}
            return _form(request, link, path=request.url.path, form=form, errors=errors)
    return done


def _check(request: Request, form: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    own = (
        form["username"],
        form["email"],
        form["email"].partition("@")[0],
        form["name"],
        *form["name"].split(),
    )
    return fields.checked(
        {
            "username": partial(fields.username, form["username"]),
            "name": partial(fields.person, form["name"]),
            "email": partial(fields.email, form["email"]),
            "professional_number": partial(fields.number, form["number"], request.app.state.settings.number),
            "profession": partial(fields.profession, form["profession"]),
            "specialty": partial(fields.specialty, form["specialty"]),
            "years": partial(fields.years, form["years"]),
            "language": partial(fields.language, form["language"]),
            "password": partial(chosen_password, form["password"], form["again"], own),
        }
    )


def _is_open(request: Request) -> bool:
    return bool(request.app.state.settings.registration == "open")


def _form(
    request: Request,
    link: OneTimeLink | None = None,
    *,
    path: str = "/register",
    form: Mapping[str, str] | None = None,
    errors: Mapping[str, str] = NO_ERRORS,
) -> Response:
    return render(
        request,
        "accounts/register.html",
        422 if errors else 200,
        path=path,
        invited_as=link.role if link else "",
        form=form or dict.fromkeys(FIELDS, ""),
        errors=errors,
        **fields.choices(),
    )


def _closed(request: Request) -> Response:
    text = _("Accounts here are by invitation. Ask an administrator for one.")
    return render(request, "error.html", 404, title=_("By invitation"), text=text)


def _unusable(request: Request, error: Unusable) -> Response:
    return render(request, "error.html", 404, title=_("This link does not work"), text=str(error))
