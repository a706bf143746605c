"""/account: what a person may change: name, language, picture, experience; username and e-mail; password; logins.

Each part is a form of its own. What would let somebody else take the account over asks for the password.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from chestgan_portal.accounts import fields
from chestgan_portal.accounts.links import withdraw_resets
from chestgan_portal.accounts.own_data import is_own_password
from chestgan_portal.accounts.passwords import ONE_AT_A_TIME, chosen_password, hashed
from chestgan_portal.accounts.registration import NO_ERRORS, Text, email_is_taken, username_is_taken
from chestgan_portal.accounts.reset import names_of
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import Account, Login, now
from chestgan_portal.pages.choices import keep_choice
from chestgan_portal.pages.languages import COOKIE as LANGUAGE
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.security.limits import count_attempt
from chestgan_portal.security.visitors import (
    BROWSER,
    IDLE,
    Database,
    LoggedIn,
    end_logins,
    log_in,
    this_login,
)

AVATARS = 5  # pictures in static/avatars
_TAKEN_EMAILS, _A_DAY = 5, timedelta(days=1)  # that one account may come upon

router = APIRouter(prefix="/account", dependencies=[ONE_AT_A_TIME, *BROWSER])


@router.get("")
def own_account(request: Request, account: LoggedIn, db: Database) -> Response:
    """All parts."""
    return _page(request, db, account)


@router.post("/profile")
def change_profile(
    request: Request,
    account: LoggedIn,
    db: Database,
    name: Text = "",
    number: Text = "",
    profession: Text = "",
    specialty: Text = "",
    years: Text = "",
    language: Text = "",
) -> Response:
    """What nobody can log in with."""
    pattern = request.app.state.settings.number
    values, errors = fields.checked(
        {
            "name": partial(fields.person, name),
            "professional_number": partial(fields.number, number, pattern),
            "profession": partial(fields.profession, profession),
            "specialty": partial(fields.specialty, specialty),
            "years": partial(fields.years, years),
            "language": partial(fields.language, language),
        }
    )
    if errors:
        typed = {
            "name": name, "number": number, "profession": profession, "specialty": specialty, "years": years,
            "language": language,
        }  # fmt: skip
        return _page(request, db, account, typed, errors)
    if not pattern:
        del values[
            "professional_number"
        ]  # one from before the setting was emptied stays until it is asked again
    for field, value in values.items():
        setattr(account, field, value)
    db.commit()
    response = go_to(request, "/account", said="saved")
    if account.language:
        keep_choice(response, LANGUAGE, account.language)
    return response


@router.post("/avatar")
def choose_avatar(
    request: Request, account: LoggedIn, db: Database, avatar: Annotated[int, Form(ge=1, le=AVATARS)]
) -> Response:
    """One of the pictures that come with the portal."""
    account.avatar = avatar
    db.commit()
    return go_to(request, "/account", said="saved")


@router.post("/names")
def change_names(
    request: Request,
    account: LoggedIn,
    db: Database,
    username: Text = "",
    email: Text = "",
    password_for_names: Text = "",
) -> Response:
    """What a person logs in with. An administrator's new username is in the audit log, which knows the old one."""
    values, errors = fields.checked(
        {"username": partial(fields.username, username), "email": partial(fields.email, email)}
    )
    old = account.username
    if not is_own_password(db, account, password_for_names):
        errors["password_for_names"] = _("This is not your password.")
    elif not errors:
        errors = _taken(db, account, values)
    if not errors:
        account.username, account.email = values["username"], values["email"]
        if account.is_administrator and account.username != old:
            note_deed(db, account, "change own username", f"{old} is now {account.username}")
        try:
            db.commit()
        except IntegrityError:  # taken a moment ago
            db.rollback()
            errors = _taken(db, account, values) or {"username": _("This username is taken.")}
    if errors:
        return _page(request, db, account, {"username": username, "email": email}, errors)
    return go_to(request, "/account", said="saved")


@router.post("/password")
def change_password(
    request: Request,
    account: LoggedIn,
    db: Database,
    old: Text = "",
    password: Text = "",
    again: Text = "",
) -> Response:
    """Ends all logins but a new one here, and links for a new password that were not used."""
    _values, errors = fields.checked(
        {"password": partial(chosen_password, password, again, names_of(account))}
    )
    if not is_own_password(db, account, old):
        errors["old"] = _("This is not your password.")
    if errors:
        return _page(request, db, account, errors=errors)
    account.password_hash = hashed(password)
    withdraw_resets(db, account)
    end_logins(db, account)
    response = go_to(request, "/account", said="password-changed")
    log_in(request, response, db, account)  # with a new cookie: somebody may have had the old one
    return response


@router.post("/logins/end")
def end_other_logins(request: Request, account: LoggedIn, db: Database) -> Response:
    """In all browsers but this one."""
    end_logins(db, account, but=this_login(request))
    db.commit()
    return go_to(request, "/account", said="logins-ended")


def _taken(db: Session, account: Account, values: Mapping[str, str]) -> dict[str, str]:
    if values["username"] != account.username and username_is_taken(db, values["username"]):
        return {"username": _("This username is taken.")}
    if values["email"] != account.email and email_is_taken(db, values["email"]):
        count_attempt(db, "taken e-mail", str(account.id), _TAKEN_EMAILS, _A_DAY)
        return {"email": _("This e-mail cannot be used.")}
    return {}


def _page(
    request: Request,
    db: Session,
    account: Account,
    typed: Mapping[str, str] = NO_ERRORS,
    errors: Mapping[str, str] = NO_ERRORS,
) -> Response:
    """typed: what the fields of a form that is shown again hold instead of what is kept."""
    kept = {
        "name": account.name, "number": account.professional_number, "profession": account.profession,
        "specialty": account.specialty, "years": "" if account.years is None else str(account.years),
        "language": account.language, "username": account.username, "email": account.email,
    }  # fmt: skip
    time = now()
    logins = select(Login).where(
        Login.account_id == account.id, Login.expires_at > time, Login.seen_at > time - IDLE
    )
    return render(
        request,
        "accounts/account.html",
        422 if errors else 200,
        form={**kept, **typed},
        errors=errors,
        account=account,
        avatars=range(1, AVATARS + 1),
        logins=db.scalars(logins.order_by(Login.seen_at.desc())).all(),
        this_login=this_login(request),
        **fields.choices(),
    )
