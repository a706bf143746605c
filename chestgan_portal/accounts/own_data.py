"""/account/data: everything that the portal keeps about a person, as a file; /account/delete: the end of the account.

Whether an image was real, or shown twice, is not in the file: a study may still be running.
"""

import json
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from chestgan_portal.accounts.deletion import LastAdministrator, delete_account
from chestgan_portal.accounts.passwords import ONE_AT_A_TIME, fits
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import (
    Account,
    Answer,
    Deed,
    Login,
    Participation,
    Post,
    Presentation,
    Study,
    now,
)
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.security.limits import count_attempt, forget_attempt
from chestgan_portal.security.visitors import BROWSER, Database, LoggedIn, log_out

router = APIRouter(prefix="/account", dependencies=[ONE_AT_A_TIME, *BROWSER])
_PERSON = (
    "username", "name", "email", "professional_number", "role", "avatar", "language", "profession", "years",
    "specialty", "created_at",
)  # fmt: skip
_ANSWER = (
    "rating", "verdict", "confidence", "tumour_seen", "tumour_x", "tumour_y", "conspicuity", "seconds", "answered_at",
)  # fmt: skip
_TRIES, _WITHIN = 10, timedelta(minutes=15)


@router.get("/data")
def own_data(account: LoggedIn, db: Database) -> Response:
    """A JSON file to keep."""
    text = json.dumps(everything_about(db, account), indent=1, ensure_ascii=False, default=str)
    name = f"chestgan-{account.username}.json"
    return Response(
        text,
        media_type="application/json",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@router.get("/delete")
def deletion_form(request: Request, account: LoggedIn) -> Response:
    """What will go, and what will stay."""
    return render(request, "accounts/delete.html", error="")


@router.post("/delete")
def delete_own_account(
    request: Request,
    account: LoggedIn,
    db: Database,
    password: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """For good. Not of the last administrator, who first makes another one."""
    if not is_own_password(db, account, password):
        return render(request, "accounts/delete.html", 422, error=_("This is not your password."))
    try:
        if account.is_administrator:
            note_deed(db, account, "delete own account", account.username)
        delete_account(db, account)
    except LastAdministrator:
        text = _("You are the only administrator. Give this role to somebody else first.")
        return render(request, "accounts/delete.html", 422, error=text)
    db.commit()
    response = go_to(request, "/", said="account-deleted")
    log_out(request, response, db)
    return response


def is_own_password(db: Session, account: Account, password: str) -> bool:
    """Whether who sits at a browser that is logged in knows the password. Raises TooMany after ten wrong ones."""
    attempt = count_attempt(db, "own password", str(account.id), _TRIES, _WITHIN)
    if not fits(account.password_hash, password):
        return False
    forget_attempt(db, attempt)
    db.commit()
    return True


def everything_about(db: Session, account: Account) -> dict[str, Any]:
    """Times are ISO 8601 in UTC. The password's hash is the one thing that is left out."""
    deeds = select(Deed).where(Deed.administrator == account.username, Deed.at >= account.created_at)
    posts = select(Post).where(Post.author == account.username, Post.published_at >= account.created_at)
    return {
        "exported_at": now(),
        "account": _of(account, _PERSON),
        "logins": [
            _of(login, ("browser", "created_at", "seen_at", "expires_at"))
            for login in db.scalars(select(Login).where(Login.account_id == account.id))
        ],
        "studies": [
            _study(db, participation, study)
            for participation, study in db.execute(
                select(Participation, Study)
                .join(Study, Study.id == Participation.study_id)
                .where(Participation.account_id == account.id)
                .order_by(Participation.id)
            )
        ],
        "posts": [_of(post, ("title", "published_at")) for post in db.scalars(posts.order_by(Post.id))],
        "deeds_as_administrator": [
            _of(deed, ("at", "deed", "subject")) for deed in db.scalars(deeds.order_by(Deed.id))
        ],
    }


def _study(db: Session, participation: Participation, study: Study) -> dict[str, Any]:
    answers = (
        select(Presentation.position, Answer)
        .join(Answer, Answer.presentation_id == Presentation.id)
        .where(Presentation.participation_id == participation.id)
        .order_by(Presentation.position)
    )
    return {
        "study": study.name,
        "called_in_the_analysis": participation.reader,
        **_of(participation, ("profession", "years", "specialty", "joined_at", "finished_at")),
        "answers": [
            {"position": position, **_of(answer, _ANSWER)} for position, answer in db.execute(answers)
        ],
    }


def _of(row: object, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in names}
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in values.items()
    }
