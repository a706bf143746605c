"""The application: routers, and the layers around them.

In: settings, and how the store is opened. Out: an ASGI application with its database upgraded. From the outside in: the
guard (host, origin, account), the size of a body, headers, the language, routes.
"""

import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import SQLAlchemyError as AnyDatabaseError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from chestgan_core import __version__
from chestgan_core.errors import ChestganError, NotInStore
from chestgan_core.store.store import Store
from chestgan_portal.accounts import login, own_data, profile, registration, reset
from chestgan_portal.administration import (
    audit,
    messages,
    notifications,
    posts,
    reports,
    statistics_pages,
    study_forms,
    study_packs,
    study_results,
    users,
)
from chestgan_portal.administration import home as administration
from chestgan_portal.administration import studies as admin_studies
from chestgan_portal.administration.study_jobs import StudyJobs
from chestgan_portal.database.engine import open_engine, upgrade
from chestgan_portal.database.tables import Secret
from chestgan_portal.machine import health, notify
from chestgan_portal.pages.languages import COOKIE, _, language, preferred
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.public import contact, files, gallery, home, news, results, sets_api, theme
from chestgan_portal.public.library import Library
from chestgan_portal.reading import images, own_result, rating
from chestgan_portal.reading import studies as reading
from chestgan_portal.reading.frozen import FrozenStudies
from chestgan_portal.reading.withdrawals import Withdrawals
from chestgan_portal.security.headers import Headers, MaxBody
from chestgan_portal.security.limits import TooMany
from chestgan_portal.security.visitors import Forbidden, NeedsLogin, identify
from chestgan_portal.settings import HOSTS, Settings
from chestgan_web.guard import App, Guard, Receive, Scope, Send

STATIC = Path(__file__).with_name("static")
ROUTERS = (
    # They are asked in this order. First what a reader waits for at each image.
    images.router,
    rating.router,
    health.router,
    home.router,
    gallery.router,
    sets_api.router,
    results.router,
    files.router,
    news.router,
    contact.router,
    theme.router,
    login.router,
    registration.router,
    reset.router,
    profile.router,
    own_data.router,
    administration.router,
    users.router,
    audit.router,
    notifications.router,
    messages.router,
    posts.router,
    statistics_pages.router,
    reports.router,
    notify.router,
    reading.router,
    own_result.router,
    study_results.router,
    study_packs.router,
    study_forms.router,
    admin_studies.router,
)

log = logging.getLogger(__name__)


def create_app(settings: Settings, open_store: Callable[[], Store] = Store.open) -> App:
    """The portal. open_store: called at the first request that needs it. Raises BadInput: no database."""
    return guarded(create_pages(settings, open_store), settings)


def create_pages(settings: Settings, open_store: Callable[[], Store] = Store.open) -> FastAPI:
    """The routes without the guard."""
    engine = open_engine(settings.database)
    upgrade(engine)
    app = FastAPI(
        title="chestgan portal",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        # It would name the scheme by which the proxy asks, http, where browsers are to use https.
        redirect_slashes=False,
    )
    app.state.settings, app.state.engine, app.state.store = settings, engine, cache(open_store)
    app.state.library = Library(app.state.store)
    app.state.secret = _secret(engine, "forms")
    app.state.frozen = FrozenStudies(app.state.store)
    app.state.withdrawals = Withdrawals(engine, app.state.store)
    app.state.study_jobs = StudyJobs()
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(NeedsLogin, _needs_login)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(TooMany, _too_many)  # type: ignore[arg-type]
    app.add_exception_handler(ChestganError, _failed)  # type: ignore[arg-type]
    for down in (OperationalError, InterfaceError, InternalError, NoConnection):
        app.add_exception_handler(down, _database_down)
    app.add_exception_handler(DataError, _impossible)
    app.add_exception_handler(Exception, _crashed)
    return app


def guarded(pages: FastAPI, settings: Settings) -> App:
    """The layers around the routes."""
    inside = Headers(MaxBody(_Language(pages)), https=settings.https)
    return Guard(inside, settings.hosts, setting=HOSTS, own_account=settings.own_account)


def _secret(engine: Engine, name: str) -> bytes:
    """A random secret of this installation, made at the first start, whichever process is first."""
    with Session(engine) as session:
        if found := session.get(Secret, name):
            return found.value.encode()
        session.add(Secret(name=name, value=secrets.token_urlsafe(32)))
        try:
            session.commit()
        except IntegrityError:
            session.rollback()
        return session.get_one(Secret, name).value.encode()


class _Language:
    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            language.set(preferred(request.cookies.get(COOKIE), request.headers.get("accept-language", "")))
        await self._app(scope, receive, send)


def _error(
    request: Request, status: int, title: str, text: str, headers: dict[str, str] | None = None
) -> Response:
    template = "error_part.html" if request.headers.get("hx-request") == "true" else "error.html"
    response = render(request, template, status, title=title, text=text)
    response.headers.update(headers or {})
    return response


def _http_error(request: Request, error: HTTPException) -> Response:
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


def _not_valid(request: Request, error: Exception) -> Response:
    if isinstance(error, RequestValidationError) and any(one["loc"][0] == "path" for one in error.errors()):
        return _http_error(request, HTTPException(404))  # an id that no row can have
    # Forms say by themselves what people type wrong; this is for what no form of ours sends. It repeats nothing.
    text = _("The address or the form holds something that this page does not take.")
    return _error(request, 422, _("This did not work"), text)


def _needs_login(request: Request, error: Exception) -> Response:
    from urllib.parse import quote

    path = request.url.path if request.method == "GET" else "/"
    return go_to(request, f"/login?next={quote(path, safe='/')}")


def _forbidden(request: Request, error: Exception) -> Response:
    text = _(
        "This page is not for this account, or the form is too old. Go back, reload the page and try again."
    )
    return _error(request, 403, _("Not allowed"), text)


def _too_many(request: Request, error: TooMany) -> Response:
    text = _("Too many attempts. Try again later.")
    return _error(request, 429, _("Too many attempts"), text, {"retry-after": str(error.seconds)})


def _crashed(request: Request, error: Exception) -> Response:
    text = _(
        "This failed here, and the administrators find it in the log. What was accepted before is not lost."
    )
    return _error(request, 500, _("This did not work"), text)


def _failed(request: Request, error: ChestganError) -> Response:
    if isinstance(error, NotInStore):
        return _error(request, 404, _("Not found"), _("The store does not have this."))
    log.error("%s", error)
    text = _(
        "The store does not answer as it should. Try again later; the administrators find the reason in the log."
    )
    return _error(request, 503, _("Not available"), text, {"retry-after": "30"})


def _database_down(request: Request, error: Exception) -> Response:
    log.error("the database does not answer: %s", type(error).__name__)
    text = _("The database does not answer. Nothing that was accepted is lost. Try again in a minute.")
    return _error(request, 503, _("Not available"), text, {"retry-after": "30"})


def _impossible(request: Request, error: Exception) -> Response:
    """A number or text that no row can have, such as an id of 30 digits."""
    return _error(
        request, 400, _("This did not work"), _("The address or the form holds an impossible value.")
    )
