"""Readers without access to this portal: the study as a file for one reader, and the answers that come back from it.

In: an open study; a file of a stranger. Out: an HTML file; rows like those of readers here, so that progress,
drop-outs and the result count both alike. The sealed key of each file stays in the store.
"""

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Request, UploadFile
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chestgan_core.errors import BadInput
from chestgan_core.reading import answers as rows
from chestgan_core.reading.images.frozen_study import FrozenStudy, open_study
from chestgan_core.reading.offline.pack import make_pack
from chestgan_core.reading.offline.returned import collect_answers
from chestgan_core.reading.offline.sealed_key import SealedKey, stored_key
from chestgan_core.store.store import Store
from chestgan_portal.administration.studies import Name, page_of, study_named
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import Account, Answer, Participation, Presentation, Study
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to
from chestgan_portal.reading.order import add_presentations
from chestgan_portal.security.visitors import BROWSER, Administrator, Database

PAGE = "offline"  # in the place of the version of the rating page
_TAKES = ("open", "paused")

router = APIRouter(prefix="/admin/studies/{name}", dependencies=BROWSER)


@router.post("/pack")
def pack(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """The file for one more reader, which begins in the language of the reader's browser. Raises StoreError."""
    study = _study(db, name, ("open",))
    db.commit()  # no connection is held while the store is asked
    store: Store = request.app.state.store()
    try:
        made = make_pack(store, open_study(store, study.name, study.version))
    except BadInput as error:  # too large for one file
        return page_of(request, db, study, f"{error.cause}; {error.remedy}", 409)
    note_deed(db, administrator, "make offline file of study", f"{name}: {made.reader}")
    db.commit()
    headers = {"content-disposition": f'attachment; filename="{made.name}"'}
    return Response(made.html, media_type="text/html; charset=utf-8", headers=headers)


@router.post("/returned")
def returned(
    request: Request,
    name: Name,
    administrator: Administrator,
    db: Database,
    answers: Annotated[UploadFile, File()],
) -> Response:
    """Take the answers of an offline reader; those that are here already stay as they are. Raises StoreError."""
    study = _study(db, name, _TAKES)
    db.commit()
    store: Store = request.app.state.store()
    frozen = open_study(store, study.name, study.version)
    try:
        found = _read(store, frozen, answers.file.read())
    except BadInput as error:
        return page_of(request, db, study, f"{error.cause}; {error.remedy}", 422)
    reader = found.readers[0].reader
    key = stored_key(store, frozen, reader)
    added = _add(db, study, administrator, key, found)
    if added is None:
        return page_of(
            request, db, study, _("The study is in another state by now; nothing was changed."), 409
        )
    if not added:
        return page_of(request, db, study, _("All answers of this file are here already."), 409)
    return go_to(request, f"/admin/studies/{name}", said="saved")


def _read(store: Store, frozen: FrozenStudy, data: bytes) -> rows.StudyAnswers:
    """Checked by the core, which reads files. Raises BadInput, StoreError."""
    with tempfile.TemporaryDirectory(prefix="chestgan-returned-") as folder:
        path = Path(folder, "answers.json")
        path.write_bytes(data)
        return collect_answers(store, frozen, [path])


def _add(
    db: Session, study: Study, administrator: Account, key: SealedKey, found: rows.StudyAnswers
) -> int | None:
    """How many answers were added, committed; None: the study takes none any more, or another file was first."""
    reader = found.readers[0]
    try:
        participation = db.scalar(select(Participation).where(Participation.reader == reader.reader))
        if participation is None:
            participation = _new(db, study, reader, key)
        shown = list(
            db.scalars(
                select(Presentation)
                .where(Presentation.participation_id == participation.id)
                .order_by(Presentation.position)
            )
        )
        there = db.scalar(
            select(func.count(Answer.presentation_id))
            .join(Presentation, Presentation.id == Answer.presentation_id)
            .where(Presentation.participation_id == participation.id)
        )
        more = found.answers[there or 0 :]
        for one in more:
            shown[one.position].shown_at = one.answered_at - timedelta(seconds=one.seconds)
            fields = one.model_dump(exclude={"reader", "item", "part", "position"})
            db.add(Answer(presentation_id=shown[one.position].id, page=PAGE, **fields))
        if reader.finished and more:
            participation.finished_at = more[-1].answered_at
        note_deed(db, administrator, "take offline answers of study", f"{study.name}: {reader.reader}")
        db.flush()
    except IntegrityError:
        db.rollback()
        return None
    # As for answers here: who closes the study waits for this transaction, or this line sees that it is closed.
    state = db.scalar(select(Study.state).where(Study.id == study.id).with_for_update(read=True))
    if state not in _TAKES:
        db.rollback()
        return None
    db.commit()
    return len(more)


def _new(db: Session, study: Study, reader: rows.Reader, key: SealedKey) -> Participation:
    participation = Participation(
        study_id=study.id,
        reader=reader.reader,
        seed=0,  # the order is in the sealed key
        profession=reader.profession,
        specialty=reader.specialty,
        years=reader.years,
    )
    add_presentations(db, participation, ((shown.item, shown.part) for shown in key.shown))
    return participation


def _study(db: Session, name: str, states: tuple[str, ...]) -> Study:
    """Raises HTTPException 404, and 409: it is in another state."""
    study = study_named(db, name)
    if study.state not in states:
        raise HTTPException(409, _("The study is in another state by now; nothing was changed."))
    return study
