"""The switch between light and dark."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from chestgan_portal.pages.choices import keep_choice
from chestgan_portal.pages.render import go_to, local_path
from chestgan_portal.pages.themes import COOKIE, THEMES
from chestgan_portal.security.visitors import BROWSER

router = APIRouter(dependencies=BROWSER)


@router.post("/theme")
def choose_theme(
    request: Request,
    theme: Annotated[str, Form(max_length=8)] = "",
    back: Annotated[str, Form(max_length=400)] = "/",
) -> Response:
    """Keep the choice in this browser: another device has another screen. Empty: as the device says."""
    response = go_to(request, local_path(back))
    keep_choice(response, COOKIE, theme if theme in THEMES else "")
    return response
