"""Published sets for a visitor: who sees the images of which.

A withdrawn version keeps its page, which says why; its images and files are not given out. Somebody who is reading a
study of a set does not see that set's images here until the study is finished: they would be no judge of them any more.
"""

from typing import Annotated, Any

from fastapi import HTTPException, Path, Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from chestgan_core.dicom.histology import HISTOLOGIES
from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.publishing.reader.labels import LabelRow
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.store.artefacts import canonical_json, sha256_of
from chestgan_portal.database.tables import Participation, Study
from chestgan_portal.pages.languages import _
from chestgan_portal.public.library import Library, ShownSet
from chestgan_portal.security.visitors import Visitor

# Of an image or frame. Not `{index:int}`: starlette fails where a number has more digits than Python reads.
Index = Annotated[int, Path(ge=0, lt=2**31)]


def library(request: Request) -> Library:
    """What the public pages read from the store."""
    found: Library = request.app.state.library
    return found


def class_title(name: str, facts: SetFacts) -> str:
    """A histology letter with what it stands for; other classes as they are."""
    if facts.window_unit == "HU" and name in HISTOLOGIES:
        return f"{name}: {HISTOLOGIES[name]}"
    return name


def sets_being_read(db: Session, visitor: Visitor) -> set[str]:
    """The sets whose images somebody rates in a study that is not over for them."""
    if visitor.account is None or visitor.account.is_administrator:
        return set()
    designs = db.scalars(
        select(Study.design)
        .join(Participation, Participation.study_id == Study.id)
        .where(
            Participation.account_id == visitor.account.id,
            Participation.finished_at.is_(None),
            Study.state.in_(("open", "paused")),
        )
    )
    return {str(design.get("set_name")) for design in designs}


def manifest_sha256(found: ShownSet) -> str:
    """Of the manifest, which lists the sha256 of every file: one number for the whole set."""
    return sha256_of(canonical_json(found.folder.manifest))


def frames_of_run(books: Library, run: Any) -> tuple[bytes, ...]:
    """The frames of the progress film, PNG; none of a film that is damaged: the page goes on without it."""
    try:
        return books.film(run) if run else ()
    except (DamagedObject, NotInStore):
        return ()


def open_set(books: Library, db: Session, visitor: Visitor, name: str, version: str) -> ShownSet:
    """A set whose images may be shown to this visitor. Raises NotInStore, HTTPException."""
    found = books.set(name, version)
    if books.withdrawal(name, version):
        raise HTTPException(410, _("This version was withdrawn. Its images are not shown any more."))
    if name in sets_being_read(db, visitor):
        raise HTTPException(
            403, _("You are rating images of this set. They are shown here once you have finished.")
        )
    return found


def row_of(books: Library, found: ShownSet, index: int) -> LabelRow:
    """The labels of one image. Raises HTTPException 404: no such image, or too many to be shown one by one."""
    try:
        rows = books.images.rows(books.store, found.folder)
    except BadInput as error:
        raise HTTPException(404) from error
    if index >= len(rows):
        raise HTTPException(404)
    return rows[index]
