"""/files: files of the store, streamed by the portal with its own rights. No address of the store reaches a browser.

- Everybody: the files of published sets that are not withdrawn; and charts without pictures of patients, which are
  curves of a comparison, figures of a hyperparameter study, and the picture of a month (its images are synthetic).
- Administrators: everything of the kinds that are made to be looked at, real slices among them.

Readers have no more rights than visitors: pages with real slices would tell them which images of a study are real.
Who is reading a study of a set has less: the images of the set come once the study is finished, as in the gallery.
"""

import re

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.publishing.reader.set_folder import CARD
from chestgan_portal.pages.languages import _
from chestgan_portal.public.library import Library, ShownSet, find_object
from chestgan_portal.public.shown_sets import library, sets_being_read
from chestgan_portal.security.visitors import BROWSER, Database, Forbidden, Identified, NeedsLogin
from chestgan_web.stored_files import SAVED, answer

router = APIRouter(dependencies=BROWSER)
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_PUBLIC = re.compile(
    rf"comparisons/{_NAME}/{_NAME}/curves\.png"
    rf"|studies/{_NAME}/{_NAME}/{_NAME}/figures/{_NAME}\.png"
    rf"|reports-monthly/{_NAME}/{_NAME}/month\.png"
)
_OF_SET = re.compile(rf"synthetic/({_NAME})/({_NAME})/({_NAME})")


@router.get("/files/{path:path}")
def stored_file(request: Request, visitor: Identified, db: Database, path: str) -> Response:
    """A file, or why there is none for this visitor."""
    administrator = visitor.account is not None and visitor.account.is_administrator
    books = library(request)
    if of_set := _OF_SET.fullmatch(path):
        name, version, file = of_set.groups()
        found = books.set(name, version)
        if not administrator and books.withdrawal(name, version):
            raise HTTPException(410, _("This version was withdrawn. Its files are not given out any more."))
        if file != CARD and name in sets_being_read(db, visitor):
            raise HTTPException(
                403, _("You are rating images of this set. They are shown here once you have finished.")
            )
        if file.endswith(".tar"):
            return _tar(books, found, file)
    elif not administrator and not _PUBLIC.fullmatch(path):
        if visitor.account is None:
            raise NeedsLogin
        raise Forbidden
    return answer(books.store, path)


def _tar(books: Library, found: ShownSet, file: str) -> Response:
    """From the place on the disk that images are read from too: many downloads are one of the store's."""
    item = find_object(found.folder, file)
    if item is None:
        raise NotInStore("the file", "is not of this set", "follow the links of the page")
    try:
        path = books.images.tar(books.store, found.folder, item)
    except BadInput:
        text = "chestgan: this file is too large for a browser; fetch the set: chestgan sets fetch\n"
        return PlainTextResponse(text, status_code=404)
    return FileResponse(
        path,
        media_type=SAVED[".tar"],
        filename=f"{found.entry.name}-{found.entry.version}-{file}",
        headers={"cache-control": "no-store", "x-checksum-sha256": item.sha256},
    )
