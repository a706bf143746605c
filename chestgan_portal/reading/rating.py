"""The rating page: one image, its questions, and the way to the next one.

In: a form per image. Out: the next image, also as a part of the page for htmx. Whatever goes wrong on the way, what was
typed comes back to the reader: in the page, which htmx leaves as it is, or in a form with one button.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.routing import APIRoute
from sqlalchemy import select
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chestgan_core.errors import ChestganError
from chestgan_portal.database.tables import Account, Participation, Presentation, Study
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.reading.answering import FIELDS, Outcome, accept, check
from chestgan_portal.reading.order import participation_of, place_of, present_one
from chestgan_portal.reading.studies import Name, design_of, visible_study
from chestgan_portal.security.visitors import BROWSER, Database, Forbidden, LoggedIn, NeedsLogin, Visitor

_Short = Annotated[str, Form(max_length=64)]
_DOWN = (OperationalError, InterfaceError, InternalError, NoConnection)


class KeepsWhatWasTyped(APIRoute):
    """Where database or store do not answer, the page that says so holds the answer, and a button to send it again."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """As FastAPI calls it."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except (NeedsLogin, Forbidden):
                if request.state.visitor.account is not None:
                    raise
                # The login ended in the middle: the way back leads to the image, and the script has what was typed.
                return go_to(request, f"/login?next=/studies/{request.path_params['name']}/reading")
            except (*_DOWN, ChestganError):
                if request.method != "POST" or request.headers.get("hx-request") == "true":
                    raise
                return await _kept(request)

        return handle


async def _kept(request: Request) -> Response:
    # What failed in the database leaves the account without its columns, which the page would show.
    visitor = getattr(request.state, "visitor", None)
    request.state.visitor = Visitor(None, visitor.csrf if visitor else "")
    form = await request.form()
    kept = {
        name: value for name, value in form.items() if isinstance(value, str) and len(name) + len(value) < 200
    }
    response = render(request, "reading/kept.html", 503, kept=dict(list(kept.items())[:20]))
    response.headers["retry-after"] = "30"
    return response


router = APIRouter(prefix="/studies/{name}", dependencies=BROWSER, route_class=KeepsWhatWasTyped)


@dataclass(frozen=True)
class _Reader:
    """The study, and the participation of who asks."""

    study: Study
    participation: Participation


def _reader(db: Session, name: str, account: Account) -> _Reader:
    """Raises HTTPException 404: no such study, or the account does not take part, or is an administrator by now."""
    study = visible_study(db, name)
    participation = participation_of(db, study, account)
    if participation is None or account.is_administrator:
        raise HTTPException(404)
    return _Reader(study, participation)


@dataclass(frozen=True)
class _Said:
    """What is shown above the present image, or beside its questions."""

    sentence: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@router.get("/reading")
def reading(
    request: Request,
    name: Name,
    account: LoggedIn,
    db: Database,
    begin: str = "",
) -> Response:
    """The present image. begin: the part whose announcement was read, warm-up or main."""
    study = visible_study(db, name)
    if account.is_administrator or participation_of(db, study, account) is None:
        return go_to(request, f"/studies/{name}")
    return _present(request, db, _reader(db, name, account), _Said(), begin)


@router.post("/answers")
def answer(
    request: Request,
    name: Name,
    account: LoggedIn,
    db: Database,
    token: _Short,
    rating: _Short = "",
    verdict: _Short = "",
    confidence: _Short = "",
    tumour: _Short = "",
    tumour_x: _Short = "",
    tumour_y: _Short = "",
    conspicuity: _Short = "",
    seconds: _Short = "",
) -> Response:
    """Accept the answer to the present image, once, and show the next one."""
    reader = _reader(db, name, account)
    values = (rating, verdict, confidence, tumour, tumour_x, tumour_y, conspicuity)
    fields = dict(zip(FIELDS, values, strict=True))
    presentation = db.scalar(
        select(Presentation).where(
            Presentation.token == token, Presentation.participation_id == reader.participation.id
        )
    )
    if presentation is None:
        raise HTTPException(404)
    if reader.study.state != "open":
        return _present(request, db, reader, _Said(status=409))
    checked = check(fields, design_of(reader.study))
    if checked.judgement is None:
        present = present_one(db, reader.participation.id)
        if present is None or present.id != presentation.id:
            return _present(request, db, reader, _too_late())
        sentence = _("Something is missing. Nothing was sent yet.")
        return _present(request, db, reader, _Said(sentence, fields, checked.errors, 422))
    outcome = accept(db, reader.study, presentation, checked.judgement, seconds)
    if outcome is Outcome.TOO_LATE:
        return _present(request, db, reader, _too_late())
    if outcome is Outcome.NOT_SHOWN:
        sentence = _(
            "The image has not reached this browser, so it cannot be judged. Wait until it is there."
        )
        return _present(request, db, reader, _Said(sentence, fields, status=409), begin="any")
    if outcome is Outcome.NOT_OPEN:
        db.refresh(reader.study)
        return _present(request, db, reader, _Said(status=409))
    if request.headers.get("hx-request") == "true":
        return _present(request, db, reader, _Said())
    return go_to(request, f"/studies/{name}/reading")


def _too_late() -> _Said:
    return _Said(
        _("That image had an answer already, and the first answer counts. This is the present image."),
        status=409,
    )


def _present(request: Request, db: Session, reader: _Reader, said: _Said, begin: str = "") -> Response:
    """The page of the present image, an announcement, the end, or why there is none now."""
    place = place_of(db, reader.participation)
    shown: dict[str, Any] = {
        "study": reader.study,
        "design": design_of(reader.study),
        "participation": reader.participation,
        "place": place,
        "sentence": said.sentence,
        "fields": said.fields,
        "errors": said.errors,
    }
    if place.presentation is None:
        part = "finished"
    elif reader.study.state != "open":
        part = "closed"
    elif place.begins and begin not in (place.part, "any") and not said.fields:
        part = "announcement"
    else:
        part = "image"
        shown["presets"] = _presets(request, reader.study)
    part = f"reading/{part}.html"
    if request.headers.get("hx-request") == "true":
        return render(request, part, said.status, **shown)
    return render(request, "reading/page.html", said.status, part=part, **shown)


def _presets(request: Request, study: Study) -> list[tuple[str, float, float]]:
    """Without the store there are none: the answer that was just accepted matters more than a button."""
    if not design_of(study).window:
        return []
    try:
        found: list[tuple[str, float, float]] = request.app.state.frozen.get(study).presets
    except ChestganError:
        return []
    return [(_(title), low, high) for title, low, high in found]
