"""/admin/audit: what administrators did. Lines are added with the deeds, and never changed or deleted by the portal."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import func, or_, select

from chestgan_portal.database.tables import Deed
from chestgan_portal.pages.paging import Number, page_of
from chestgan_portal.pages.render import render
from chestgan_portal.security.visitors import BROWSER, Administrator, Database

router = APIRouter(prefix="/admin/audit", dependencies=BROWSER)
Filter = Annotated[str, Query(max_length=200)]


@router.get("")
def audit(
    request: Request,
    administrator: Administrator,
    db: Database,
    by: Filter = "",
    search: Filter = "",
    page: Number = 1,
) -> Response:
    """The newest first. by: an administrator's username. search: in the deed and in what it was done to."""
    query = select(Deed).order_by(Deed.at.desc(), Deed.id.desc())
    if by:
        query = query.where(Deed.administrator == by)
    if words := search.strip().lower():
        columns = (func.lower(Deed.deed), func.lower(Deed.subject))
        query = query.where(or_(*(column.contains(words, autoescape=True) for column in columns)))
    names = db.scalars(select(Deed.administrator).distinct().order_by(Deed.administrator)).all()
    found = page_of(db, query, page)
    return render(request, "administration/audit.html", found=found, by=by, search=search, names=names)
