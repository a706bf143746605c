"""An answer, from a form to the database: checked, accepted once, final.

In: the fields of a form. Out: an Answer that is committed, or the reason why it is not. The primary key of the table
decides between two answers to one image, also where two devices send them at the same moment.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from chestgan_core.reading.design import StudyDesign
from chestgan_portal.database.tables import Answer, Participation, Presentation, Study, now
from chestgan_portal.pages.languages import _
from chestgan_portal.reading.order import present_one

PAGE = "1"  # raised when the rating page changes in a way that may change answers
LONGEST = 86_400.0  # seconds at one image that are noted
FIELDS = (
    "rating",
    "verdict",
    "confidence",
    "tumour",
    "tumour_x",
    "tumour_y",
    "conspicuity",
)


class Outcome(Enum):
    """What became of an answer."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"  # the same answer was accepted before: its confirmation did not arrive
    TOO_LATE = "too late"  # another one was accepted before
    NOT_OPEN = "not open"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class Judgement:
    """What a reader says of one image; names and ranges are those of the table."""

    rating: int
    verdict: str | None = None
    confidence: int | None = None
    tumour_seen: bool | None = None
    tumour_x: float | None = None
    tumour_y: float | None = None
    conspicuity: int | None = None


@dataclass
class Checked:
    """errors: field -> sentence; judgement: None where there are errors."""

    judgement: Judgement | None = None
    errors: dict[str, str] = field(default_factory=dict)


def check(fields: Mapping[str, str], design: StudyDesign) -> Checked:
    """What was typed, within its bounds. What the study does not ask for is passed over."""
    checked = Checked()
    found: dict[str, Any] = {"rating": _whole(fields, "rating", 10)}
    if found["rating"] is None:
        checked.errors["rating"] = _("Choose a number from 1 to 10.")
    if design.ask_verdict:
        found["verdict"] = {"real": "real", "synthetic": "synthetic"}.get(fields.get("verdict", ""))
        found["confidence"] = _whole(fields, "confidence", 5)
        if found["verdict"] is None:
            checked.errors["verdict"] = _("Choose real or synthetic.")
        if found["confidence"] is None:
            checked.errors["confidence"] = _("Choose a number from 1 to 5.")
    if design.ask_tumour:
        _check_tumour(fields, found, checked.errors)
    if not checked.errors:
        checked.judgement = Judgement(**found)
    return checked


def _check_tumour(fields: Mapping[str, str], found: dict[str, Any], errors: dict[str, str]) -> None:
    seen = {"seen": True, "none": False}.get(fields.get("tumour", ""))
    found["tumour_seen"] = seen
    if seen is None:
        errors["tumour"] = _("Click on the tumour, or say that none is seen.")
    if not seen:
        return
    found["tumour_x"], found["tumour_y"] = _percent(fields, "tumour_x"), _percent(fields, "tumour_y")
    if found["tumour_x"] is None or found["tumour_y"] is None:
        errors["tumour"] = _("Click on the tumour, or give its place from 0 to 100 percent.")
    found["conspicuity"] = _whole(fields, "conspicuity", 5)
    if found["conspicuity"] is None:
        errors["conspicuity"] = _("Choose a number from 1 to 5.")


def _whole(fields: Mapping[str, str], name: str, most: int) -> int | None:
    text = fields.get(name, "")
    return int(text) if text in {str(number) for number in range(1, most + 1)} else None


def _percent(fields: Mapping[str, str], name: str) -> float | None:
    """As a share, 0 to 1."""
    number = _number(fields.get(name, ""))
    return number / 100 if number is not None and 0 <= number <= 100 else None


def _number(text: str) -> float | None:
    try:
        number = float(text[:32].replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def accept(
    db: Session, study: Study, presentation: Presentation, judgement: Judgement, seconds: str
) -> Outcome:
    """Commit an answer to the present image of a reader, or say why not; then nothing is changed.

    seconds: in sight, as the browser measured; never more than have passed here since the image was sent, which is also
    what counts where the browser says nothing.
    """
    if presentation.shown_at is None:
        return Outcome.NOT_SHOWN
    time = now()
    passed = min(max((time - presentation.shown_at).total_seconds(), 0.0), LONGEST)
    measured = _number(seconds)
    answer = Answer(
        presentation_id=presentation.id,
        **vars(judgement),
        seconds=passed if measured is None or measured < 0 else min(measured, passed),
        answered_at=time,
        page=PAGE,
    )
    db.commit()  # what was read so far is of no transaction: the next statement waits for the other writer
    db.add(answer)
    try:
        db.flush()
    except IntegrityError:
        db.rollback()
        return _compared(db, presentation.id, judgement)
    # After the insert: who closes the study waits for this transaction, or this line sees that it is closed.
    state = db.scalar(select(Study.state).where(Study.id == study.id).with_for_update(read=True))
    if state != "open":
        db.rollback()
        return Outcome.NOT_OPEN
    if present_one(db, presentation.participation_id) is None:
        participation = db.get_one(Participation, presentation.participation_id)
        participation.finished_at = time
    db.commit()
    return Outcome.ACCEPTED


def _compared(db: Session, presentation_id: int, judgement: Judgement) -> Outcome:
    first = db.get_one(Answer, presentation_id, populate_existing=True)
    same = all(getattr(first, name) == value for name, value in vars(judgement).items())
    db.commit()
    return Outcome.REPEATED if same else Outcome.TOO_LATE
