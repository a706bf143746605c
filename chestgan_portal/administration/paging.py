"""Long lists in pages.

In: a query, and the number of a page from 1. Out: its rows, and the numbers that the links below it need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

ROWS = 25  # of a page

Number = Annotated[int, Query(ge=1, le=100_000)]
# Of a row in an address: what every database takes as a key.
Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """number: of the page, from 1. pages: how many there are, at least 1. total: rows on all pages."""

    rows: Sequence[Row]
    number: int
    pages: int
    total: int


def page_of(db: Session, query: Select[tuple[Row]], number: int) -> Page[Row]:
    """A page of an ordered query; the last one where there are fewer."""
    unordered: Select[Any] = query.order_by(None)
    total = db.scalar(select(func.count()).select_from(unordered.subquery())) or 0
    pages = max(1, -(-total // ROWS))
    number = min(number, pages)
    return Page(db.scalars(query.limit(ROWS).offset((number - 1) * ROWS)).all(), number, pages, total)
