"""The first page, and the switch of the language."""

import logging
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from chestgan_core.errors import ChestganError
from chestgan_portal.pages.choices import keep_choice
from chestgan_portal.pages.languages import COOKIE, LANGUAGES
from chestgan_portal.pages.render import go_to, local_path, render
from chestgan_portal.public.shown_sets import library, sets_being_read
from chestgan_portal.security.visitors import BROWSER, Database, Identified

log = logging.getLogger(__name__)
router = APIRouter(dependencies=BROWSER)


@router.get("/")
def home(request: Request, visitor: Identified, db: Database) -> Response:
    """What the project is, with what the store holds. Without a store the page says so, and the rest of it stays."""
    books = library(request)
    try:
        entries = [one for one in books.entries() if not one.withdrawn]
        newest = next(iter(books.sets(entries)), None)
    except ChestganError as error:
        log.error("%s", error)
        entries, newest = None, None
    return render(
        request,
        "public/home.html",
        entries=entries,
        newest=newest,
        covered=newest is not None and newest.entry.name in sets_being_read(db, visitor),
    )


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
        keep_choice(response, COOKIE, language)
        if visitor.account:
            visitor.account.language = language
            db.commit()
    return response
