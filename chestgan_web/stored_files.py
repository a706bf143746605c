"""Files of the store's artefacts as responses: reports, films, figures, sets, months. Read only.

In: `<folder of an artefact>/<name>`. Out: the verified bytes of the object with that name in the artefact's manifest.
Only kinds of artefacts that are made to be looked at, and only kinds of files of a closed list: no DICOM, no slices, no
checkpoints, and weights only where a set was published with them. A page gets no scripts and no origin (CSP sandbox):
it cannot ask the server anything.
"""

import logging
import shutil
import tempfile
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, PlainTextResponse, Response

from chestgan_core.errors import BadInput, ChestganError, NotInStore
from chestgan_core.store.artefacts import Artefact, StoredObject
from chestgan_core.store.keys import MANIFEST, checked_name
from chestgan_core.store.store import Store

# Kinds of artefacts, with the number of names before the folder of their manifest ends (chestgan_core/store/keys.py).
FAMILIES = {
    "reports": 3,
    "comparisons": 2,
    "leaderboards": 2,
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
# Of published sets alone.
WEIGHTS = {".safetensors": "application/octet-stream"}
SANDBOX = "sandbox; default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'"

_log = logging.getLogger(__name__)


def answer(store: Store, path: str) -> Response:
    """The file at a path, or one line that says why there is none: 404, or 502 where the store fails."""
    try:
        artefact, item = find_file(store, path)
        return file_response(store, artefact.name(item), item)
    except (BadInput, NotInStore):
        return PlainTextResponse(
            "chestgan: there is no such file, or none that is shown here\n", status_code=404
        )
    except ChestganError as error:
        _log.error("%s", error)
        return PlainTextResponse(f"chestgan: {error}\n", status_code=502)


def find_file(store: Store, path: str) -> tuple[Artefact, StoredObject]:
    """Raises BadInput (nothing that is shown), NotInStore and other StoreErrors."""
    family, _, rest = path.partition("/")
    parts = rest.split("/")
    depth = FAMILIES.get(family, 0)
    suffixes = SHOWN | SAVED | (WEIGHTS if family == "synthetic" else {})
    if not depth or len(parts) <= depth or Path(path).suffix not in suffixes:
        raise BadInput("the address", "is of no file that is shown", "follow the links of the page")
    folder = "/".join([family, *map(checked_name, parts[:depth])])
    artefact = store.read_manifest(f"{folder}/{MANIFEST}")
    return artefact, artefact.find("/".join(parts[depth:]))


def file_response(store: Store, name: str, item: StoredObject) -> Response:
    """A stored object under a file name, verified before its first byte is sent. Raises StoreError."""
    suffix = Path(name).suffix
    folder = Path(tempfile.mkdtemp(prefix="chestgan-file-"))
    try:
        store.get_file(item.key, folder / "content", item.sha256)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        folder / "content",
        media_type=(SHOWN | SAVED | WEIGHTS)[suffix],
        filename=Path(name).name,
        content_disposition_type="inline" if suffix in SHOWN else "attachment",
        headers={"cache-control": "no-store"}
        | ({"content-security-policy": SANDBOX} if suffix == ".html" else {}),
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )
