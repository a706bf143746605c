"""The image that a reader is judging, under an address that says nothing.

In: the token of a presentation. Out: a PNG, for the reader whose present image it is and for nobody else. Size, headers
and way are the same for every image of a study.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from sqlalchemy import select, update
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chestgan_portal.database.tables import Participation, Presentation, Study, now
from chestgan_portal.reading.order import present_one
from chestgan_portal.security.visitors import BROWSER, Database, LoggedIn

router = APIRouter(dependencies=BROWSER)


@router.get("/reading/images/{token}.png", response_class=Response)
def image(
    request: Request, token: Annotated[str, Path(max_length=64)], account: LoggedIn, db: Database
) -> Response:
    """404: no such image, somebody else's, answered already, or not its turn; 409: the study is not open."""
    found = db.execute(
        select(Presentation, Study)
        .join(Participation, Participation.id == Presentation.participation_id)
        .join(Study, Study.id == Participation.study_id)
        .where(Presentation.token == token, Participation.account_id == account.id)
    ).one_or_none()
    if found is None:
        raise HTTPException(404)
    presentation, study = found
    present = present_one(db, presentation.participation_id)
    if present is None or present.id != presentation.id:
        raise HTTPException(404)
    if study.state != "open":
        raise HTTPException(409)
    request.app.state.withdrawals.look(study)
    db.commit()  # no connection is held while a study is read from the store
    picture = request.app.state.frozen.get(study).pictures[presentation.item]
    if presentation.shown_at is None:
        first = (Presentation.id == presentation.id) & Presentation.shown_at.is_(None)
        db.execute(update(Presentation).where(first).values(shown_at=now()))
        db.commit()
    return Response(picture, media_type="image/png", headers={"cache-control": "no-store"})
