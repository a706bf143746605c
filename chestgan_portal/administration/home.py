"""/admin: what waits, and the way to each part of the administration."""

from datetime import timedelta

from fastapi import APIRouter, Request
from sqlalchemy import func, select
from starlette.responses import Response

from chestgan_portal.administration import counts as counts  # the tabs of every page show them
from chestgan_portal.database.tables import Account, Answer, Post, Study, now
from chestgan_portal.pages.render import render
from chestgan_portal.security.visitors import BROWSER, Administrator, Database

router = APIRouter(prefix="/admin", dependencies=BROWSER)
_WEEK = timedelta(days=7)


@router.get("")
def overview(request: Request, administrator: Administrator, db: Database) -> Response:
    """Numbers, and links to where each is explained."""
    counted = db.execute(select(Study.state, func.count()).group_by(Study.state))
    by_state: dict[str, int] = dict(counted.all())
    last_week = select(func.count()).select_from(Answer).where(Answer.answered_at > now() - _WEEK)
    return render(
        request,
        "administration/home.html",
        studies=by_state,
        paused=db.scalars(select(Study).where(Study.state == "paused").order_by(Study.name)).all(),
        answers=db.scalar(last_week) or 0,
        accounts=db.scalar(select(func.count()).select_from(Account)) or 0,
        posts=db.scalar(select(func.count()).select_from(Post)) or 0,
    )
