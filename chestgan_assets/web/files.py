"""The files that metadata names, as addresses that a browser opens: reports, films, figures, sets, months. Read only.

In: `/files/<folder of an artefact>/<name>`. Out: the verified bytes of the object with that name in the artefact's
manifest. Only kinds of artefacts that are made to be looked at, and only kinds of files of a closed list: no DICOM, no
slices, no weights, no checkpoints. A page gets no scripts and no origin (CSP sandbox): it cannot ask Dagster anything.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, PlainTextResponse, Response

from chestgan_assets.metadata import FILES
from chestgan_assets.web.guard import App, Receive, Scope, Send
from chestgan_core.errors import BadInput, ChestganError, NotInStore
from chestgan_core.store.keys import MANIFEST, checked_name
from chestgan_core.store.store import Store

if TYPE_CHECKING:
    from chestgan_core.store.artefacts import Artefact, StoredObject

# Kinds of artefacts, with the number of names before the folder of their manifest ends (chestgan_core/store/keys.py).
FAMILIES = {
    "reports": 3,
    "comparisons": 2,
    "reports-monthly": 2,
    "studies": 3,
    "experiments": 2,
    "synthetic": 2,
}
SHOWN = {
    ".html": "text/html",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".md": "text/plain",
    ".txt": "text/plain",
    ".json": "text/plain",
    ".yaml": "text/plain",
}
# Saved by the browser, not shown.
SAVED = {".parquet": "application/vnd.apache.parquet", ".tar": "application/x-tar", ".csv": "text/csv"}
_SANDBOX = "sandbox; default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'"

_log = logging.getLogger(__name__)


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
            artefact, item = self._find(path)
            return self._response(artefact.name(item), item)
        except (BadInput, NotInStore):
            return PlainTextResponse(
                "chestgan: there is no such file, or none that is shown here\n", status_code=404
            )
        except ChestganError as error:
            _log.error("%s", error)
            return PlainTextResponse(f"chestgan: {error}\n", status_code=502)

    def _find(self, path: str) -> "tuple[Artefact, StoredObject]":
        """Raises BadInput, NotInStore and other StoreErrors."""
        family, _, rest = path.partition("/")
        parts = rest.split("/")
        depth = FAMILIES.get(family, 0)
        if not depth or len(parts) <= depth or Path(path).suffix not in SHOWN | SAVED:
            raise BadInput(FILES, "shows no such file", "open the links of the UI")
        folder = "/".join([family, *map(checked_name, parts[:depth])])
        artefact = self._store().read_manifest(f"{folder}/{MANIFEST}")
        return artefact, artefact.find("/".join(parts[depth:]))

    def _response(self, name: str, item: "StoredObject") -> Response:
        suffix = Path(name).suffix
        folder = Path(tempfile.mkdtemp(prefix="chestgan-file-"))
        try:
            # Whole before the first byte is sent: what is damaged is not shown.
            self._store().get_file(item.key, folder / "content", item.sha256)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return FileResponse(
            folder / "content",
            media_type=SHOWN.get(suffix) or SAVED[suffix],
            filename=Path(name).name,
            content_disposition_type="inline" if suffix in SHOWN else "attachment",
            headers={"cache-control": "no-store"}
            | ({"content-security-policy": _SANDBOX} if suffix == ".html" else {}),
            background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
        )
