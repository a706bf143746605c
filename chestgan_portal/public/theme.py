"""The switch between light and dark."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from chestgan_portal.pages.render import go_to, local_path
from chestgan_portal.pages.themes import COOKIE, THEMES
from chestgan_portal.security.visitors import BROWSER

router = APIRouter(dependencies=BROWSER)
_YEAR = 365 * 24 * 3600


@router.post("/theme")
def choose_theme(
    request: Request,
    theme: Annotated[str, Form(max_length=8)] = "",
    back: Annotated[str, Form(max_length=400)] = "/",
) -> Response:
    """Keep the choice in this browser: another device has another screen. Empty: as the device says."""
    response = go_to(request, local_path(back))
    if theme in THEMES:
        response.set_cookie(COOKIE, theme, max_age=_YEAR, path="/", httponly=True, samesite="lax")
    else:
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return response
