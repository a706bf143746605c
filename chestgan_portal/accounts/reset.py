"""/reset/{secret}: a new password, by a one-time link that an administrator made for one account."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request, Response

from chestgan_portal.accounts.fields import Unfit
from chestgan_portal.accounts.links import Unusable, check_link, find_link, use_link, withdraw_resets
from chestgan_portal.accounts.passwords import ONE_AT_A_TIME, chosen_password, hashed
from chestgan_portal.database.tables import Account
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.security.visitors import BROWSER, Database, end_logins, log_out

router = APIRouter(prefix="/reset", dependencies=[ONE_AT_A_TIME, *BROWSER])
Secret = Annotated[str, Path(max_length=200)]


@router.get("/{secret}")
def reset_form(request: Request, db: Database, secret: Secret) -> Response:
    """The form, while the link works."""
    try:
        account = db.get_one(Account, find_link(request, db, "reset", secret).account_id)
    except Unusable as error:
        return _unusable(request, error)
    return render(request, "accounts/reset.html", username=account.username, errors={})


@router.post("/{secret}")
def reset(
    request: Request,
    db: Database,
    secret: Secret,
    password: Annotated[str, Form(max_length=400)] = "",
    again: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """Sets the password, and ends all logins of the account, as somebody else may have known the old one."""
    try:
        link = find_link(request, db, "reset", secret)
        account = db.get_one(Account, link.account_id)
        try:
            chosen = chosen_password(password, again, names_of(account))
        except Unfit as error:
            return render(
                request,
                "accounts/reset.html",
                422,
                username=account.username,
                errors={"password": str(error)},
            )
        password_hash = hashed(chosen)
        if not use_link(db, link):
            db.rollback()
            check_link(link)
    except Unusable as error:
        return _unusable(request, error)
    account.password_hash = password_hash
    withdraw_resets(db, account)
    end_logins(db, account)
    db.commit()
    response = go_to(request, "/login", said="password")
    log_out(request, response, db)  # of whoever was logged in in this browser
    return response


def names_of(account: Account) -> tuple[str, ...]:
    """What others know of a person, which no password may be."""
    return (account.username, account.email, account.email.partition("@")[0], *account.name.split())


def _unusable(request: Request, error: Unusable) -> Response:
    return render(request, "error.html", 404, title=_("This link does not work"), text=str(error))
