"""What a reader is told of his or her own answers: after the study has closed, and only where it was released."""

from fastapi import APIRouter, Request
from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chestgan_core.reading.stored_result import read_numbers
from chestgan_portal.database.tables import Participation
from chestgan_portal.pages.render import render
from chestgan_portal.reading.order import participation_of
from chestgan_portal.reading.results import result_artefact
from chestgan_portal.reading.studies import Name, design_of, visible_study
from chestgan_portal.security.visitors import BROWSER, Database, LoggedIn

router = APIRouter(prefix="/studies", dependencies=BROWSER)


@router.get("/{name}/result")
def own_result(request: Request, name: Name, account: LoggedIn, db: Database) -> Response:
    """404: not released, or the account did not take part. Raises StoreError."""
    study = visible_study(db, name)
    participation = participation_of(db, study, account)
    if study.state != "closed" or study.released_at is None or participation is None:
        raise HTTPException(404)
    # The analysis numbers readers in the order of their random names.
    readers = sorted(db.scalars(select(Participation.reader).where(Participation.study_id == study.id)))
    number = readers.index(participation.reader) + 1
    db.commit()  # no connection is held while the store is asked
    store = request.app.state.store()
    result = read_numbers(store, result_artefact(store, study))
    label = f"reader {number}"
    return render(
        request,
        "reading/result.html",
        study=study,
        design=design_of(study),
        result=result,
        row=next((one for one in result.readers if one.reader == number), None),
        own=next((one for one in result.confusion_by_reader if one.label == label), None),
        curve=next((one for one in result.roc.curves if one.reader == number), None) if result.roc else None,
    )
