"""Errors as pages: a sentence for the person in front of it, the reason in the log.

In: exceptions that routes and what they call raise. Out: responses; a part of a page where htmx asked for one. Nothing
of what an exception says reaches a page, besides the sentences that routes give to HTTPException.
"""

import logging
from contextlib import suppress
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import SQLAlchemyError as AnyDatabaseError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chestgan_core.errors import ChestganError, NotInStore
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.security.limits import TooMany
from chestgan_portal.security.visitors import Forbidden, NeedsLogin, identify

log = logging.getLogger(__name__)


def handle_errors(app: FastAPI) -> None:
    """Add a handler for each kind of error."""
    app.add_exception_handler(HTTPException, http_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, not_valid)
    app.add_exception_handler(NeedsLogin, needs_login)
    app.add_exception_handler(Forbidden, forbidden)
    app.add_exception_handler(TooMany, too_many)  # type: ignore[arg-type]
    app.add_exception_handler(ChestganError, store_failed)  # type: ignore[arg-type]
    for down in (OperationalError, InterfaceError, InternalError, NoConnection):
        app.add_exception_handler(down, database_down)
    app.add_exception_handler(DataError, impossible_value)
    for changed in (IntegrityError, StaleDataError):
        app.add_exception_handler(changed, changed_meanwhile)
    app.add_exception_handler(Exception, crashed)


def _error(
    request: Request, status: int, title: str, text: str, headers: dict[str, str] | None = None
) -> Response:
    template = "error_part.html" if request.headers.get("hx-request") == "true" else "error.html"
    response = render(request, template, status, title=title, text=text)
    response.headers.update(headers or {})
    return response


def http_error(request: Request, error: HTTPException) -> Response:
    """What a route refused, and addresses that no route has."""
    if not hasattr(request.state, "visitor"):
        # No route asked who it is, but the page around the sentence has the navigation and forms of this visitor.
        with suppress(AnyDatabaseError), Session(request.app.state.engine, expire_on_commit=False) as db:
            identify(request, Response(), db)
    if error.status_code == 404:
        return _error(
            request, 404, _("Not found"), _("There is no such page, or it is not for this account.")
        )
    return _error(
        request, error.status_code, _("This did not work"), str(error.detail), dict(error.headers or {})
    )


def not_valid(request: Request, error: Exception) -> Response:
    """An address or a form that does not fit: 404 where a path holds an id that no row can have, else 422."""
    if isinstance(error, RequestValidationError) and any(one["loc"][0] == "path" for one in error.errors()):
        return http_error(request, HTTPException(404))  # an id that no row can have
    # Forms say by themselves what people type wrong; this is for what no form of ours sends. It repeats nothing.
    text = _("The address or the form holds something that this page does not take.")
    return _error(request, 422, _("This did not work"), text)


def needs_login(request: Request, error: Exception) -> Response:
    """To the login, which leads back; after a form to the first page, as a form is not sent twice."""
    path = request.url.path if request.method == "GET" else "/"
    return go_to(request, f"/login?next={quote(path, safe='/')}")


def forbidden(request: Request, error: Exception) -> Response:
    """403: not for this account, or without the token of the form."""
    text = _(
        "This page is not for this account, or the form is too old. Go back, reload the page and try again."
    )
    return _error(request, 403, _("Not allowed"), text)


def too_many(request: Request, error: TooMany) -> Response:
    """429, with the seconds to wait."""
    text = _("Too many attempts. Try again later.")
    return _error(request, 429, _("Too many attempts"), text, {"retry-after": str(error.seconds)})


def crashed(request: Request, error: Exception) -> Response:
    """500: what nobody expected."""
    text = _(
        "This failed here, and the administrators find it in the log. What was accepted before is not lost."
    )
    return _error(request, 500, _("This did not work"), text)


def store_failed(request: Request, error: ChestganError) -> Response:
    """404 for what the store does not have, 503 for a store that does not answer as it should."""
    if isinstance(error, NotInStore):
        return _error(request, 404, _("Not found"), _("The store does not have this."))
    log.error("%s", error)
    text = _(
        "The store does not answer as it should. Try again later; the administrators find the reason in the log."
    )
    return _error(request, 503, _("Not available"), text, {"retry-after": "30"})


def database_down(request: Request, error: Exception) -> Response:
    """503: readers try again, and lose nothing."""
    log.error("the database does not answer: %s", type(error).__name__)
    text = _("The database does not answer. Nothing that was accepted is lost. Try again in a minute.")
    return _error(request, 503, _("Not available"), text, {"retry-after": "30"})


def changed_meanwhile(request: Request, error: Exception) -> Response:
    """409: a row that this request was about went, or came, while it ran: an account that was deleted meanwhile."""
    log.warning("somebody else was faster: %s", type(error).__name__)
    text = _("Somebody else has changed this at the same moment; nothing was changed. Load the page again.")
    return _error(request, 409, _("This did not work"), text)


def impossible_value(request: Request, error: Exception) -> Response:
    """A number or text that no row can have, such as an id of 30 digits."""
    return _error(
        request, 400, _("This did not work"), _("The address or the form holds an impossible value.")
    )
