"""The files that metadata names, as addresses that a browser opens: `/files/<folder of an artefact>/<name>`.

In: requests. Out: those below /files/ are answered from the store (chestgan_web/stored_files.py), all others by the UI.
"""

from collections.abc import Callable
from functools import cache

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from chestgan_assets.metadata import FILES
from chestgan_core.errors import ChestganError
from chestgan_core.store.store import Store
from chestgan_web.guard import App, Receive, Scope, Send
from chestgan_web.stored_files import answer


class Files:
    """An ASGI application: requests below /files/ are answered from the store, all others by `app`.

    open_store: called at the first request.
    """

    def __init__(self, app: App, open_store: Callable[[], Store] = Store.open) -> None:
        self._app = app
        self._store = cache(open_store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it."""
        if scope["type"] != "http" or not scope["path"].startswith(FILES):
            await self._app(scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD"):
            response = await run_in_threadpool(self._answer, scope["path"].removeprefix(FILES))
        else:
            response = PlainTextResponse("chestgan: files are only read here\n", status_code=405)
        await response(scope, receive, send)

    def _answer(self, path: str) -> Response:
        try:
            store = self._store()
        except ChestganError as error:
            return PlainTextResponse(f"chestgan: {error}\n", status_code=502)
        return answer(store, path)
