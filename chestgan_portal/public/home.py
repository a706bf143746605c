"""The first page, and the switch of the language."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from chestgan_portal.pages.languages import COOKIE, LANGUAGES
from chestgan_portal.pages.render import go_to, local_path, render
from chestgan_portal.security.visitors import BROWSER, Database, Identified

router = APIRouter(dependencies=BROWSER)
_YEAR = 365 * 24 * 3600


@router.get("/")
def home(request: Request) -> Response:
    """What the project is."""
    return render(request, "public/home.html")


@router.post("/language")
def choose_language(
    request: Request,
    visitor: Identified,
    db: Database,
    language: Annotated[str, Form(max_length=8)],
    back: Annotated[str, Form(max_length=400)] = "/",
) -> Response:
    """Keep the choice, in the browser and with the account."""
    response = go_to(request, local_path(back))
    if language in LANGUAGES:
        # Scripts and other sites have no use for it, but it is no secret.
        response.set_cookie(COOKIE, language, max_age=_YEAR, path="/", httponly=True, samesite="lax")
        if visitor.account:
            visitor.account.language = language
            db.commit()
    return response
