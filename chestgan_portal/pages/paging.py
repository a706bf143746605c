"""Long lists in pages.

In: a query, and the number of a page from 1. Out: its rows, and the numbers that the links below it need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

ROWS = 25  # of a page

Number = Annotated[int, Query(ge=1, le=100_000)]


@dataclass(frozen=True)
class Page:
    """number: of the page, from 1. pages: how many there are, at least 1. total: rows on all pages."""

    rows: Sequence[Any]
    number: int
    pages: int
    total: int


def page_of(db: Session, query: Select[Any], number: int) -> Page:
    """A page of an ordered query; the last one where there are fewer."""
    total = db.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    pages = max(1, -(-total // ROWS))
    number = min(number, pages)
    return Page(db.scalars(query.limit(ROWS).offset((number - 1) * ROWS)).all(), number, pages, total)
