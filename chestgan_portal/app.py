"""The application: routers, and the layers around them.

In: settings, and how the store is opened. Out: an ASGI application with its database upgraded. From the outside in: the
guard (host, origin, account), the size of a body, headers, the language, routes.
"""

import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path

from fastapi import FastAPI, Request
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.staticfiles import StaticFiles

from chestgan_core import __version__
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
from chestgan_portal.pages.errors import handle_errors
from chestgan_portal.pages.languages import COOKIE, language, preferred
from chestgan_portal.public import contact, files, gallery, home, news, results, set_pictures, sets_api, theme
from chestgan_portal.public.library import Library
from chestgan_portal.reading import images, own_result, rating
from chestgan_portal.reading import studies as reading
from chestgan_portal.reading.frozen import FrozenStudies
from chestgan_portal.reading.withdrawals import Withdrawals
from chestgan_portal.security.headers import Headers
from chestgan_portal.security.request_limits import RequestLimits
from chestgan_portal.settings import HOSTS, Settings
from chestgan_web.guard import App, Guard, Receive, Scope, Send

STATIC = Path(__file__).with_name("static")
ROUTERS = (
    # They are asked in this order. First what a reader waits for at each image.
    images.router,
    rating.router,
    health.router,
    home.router,
    set_pictures.router,  # before the gallery: `5.png` would be a number of an image there
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
    handle_errors(app)
    return app


def guarded(pages: FastAPI, settings: Settings) -> App:
    """The layers around the routes."""
    inside = Headers(RequestLimits(_Language(pages)), https=settings.https)
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
