"""Long lists in pages.

In: a query or rows, and the number of a page from 1. Out: the rows of that page, and the numbers that the links below
it need (templates/paging.html).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

ROWS = 25  # of a page

Number = Annotated[int, Query(ge=1, le=1_000_000)]


@dataclass(frozen=True)
class Page:
    """number: of the page, from 1. pages: how many there are, at least 1. total: rows on all pages."""

    rows: Sequence[Any]
    number: int
    pages: int
    total: int


def page_of(db: Session, query: Select[Any], number: int, each: int = ROWS) -> Page:
    """A page of an ordered query; the last one where there are fewer."""
    total = db.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    number, pages = _within(number, total, each)
    return Page(db.scalars(query.limit(each).offset((number - 1) * each)).all(), number, pages, total)


def part_of(rows: Sequence[Any], number: int, each: int) -> Page:
    """A page of rows that are in memory; the last one where there are fewer."""
    number, pages = _within(number, len(rows), each)
    return Page(rows[(number - 1) * each : number * each], number, pages, len(rows))


def _within(number: int, total: int, each: int) -> tuple[int, int]:
    pages = max(1, -(-total // each))
    return min(number, pages), pages
