"""Dates, times and numbers as they are written in the language of the request; filters of the templates."""

import math
from datetime import UTC, date, datetime

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent

from chestgan_portal.pages.languages import language

NOTHING = "\N{EN DASH}"  # where there is no value


def in_words(day: date | None) -> str:
    """A day: `29 Nov 2026`, `29 nov 2026`. Of a moment, its day in UTC."""
    if day is None:
        return NOTHING
    if isinstance(day, datetime) and day.tzinfo:
        day = day.astimezone(UTC)
    return format_date(day, "d MMM y", locale=language.get())


def moment(time: datetime | None) -> str:
    """A time to the minute, in UTC, and it says so: `29 Nov 2026, 18:05 UTC`. A time without a zone is taken as UTC."""
    if time is None:
        return NOTHING
    time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return format_datetime(time, "d MMM y, HH:mm 'UTC'", tzinfo=UTC, locale=language.get())


def number(value: float | None, digits: int | None = None) -> str:
    """1,234 or 1.234; with `digits` exactly so many after the point. Not a number, or none: a dash."""
    if value is None or not math.isfinite(value):
        return NOTHING
    pattern = "#,##0" + ("" if not digits else "." + "0" * digits)
    if digits is None and isinstance(value, float):
        pattern = "#,##0.###"
    return format_decimal(value, pattern, locale=language.get())


def percent(share: float | None, digits: int = 0) -> str:
    """0.256 as `26%`, `26 %`."""
    if share is None or not math.isfinite(share):
        return NOTHING
    pattern = "#,##0" + ("" if not digits else "." + "0" * digits)
    space = "" if language.get() == "en" else "\N{NO-BREAK SPACE}"
    return format_percent(share, f"{pattern}{space}%", locale=language.get())


FILTERS = {"date": in_words, "moment": moment, "number": number, "percent": percent}
