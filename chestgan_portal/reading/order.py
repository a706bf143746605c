"""A reader's way through a study: the order that is drawn when joining, and where the reader is in it.

In: a study that is open and an account. Out: a participation with one presentation per image, each with a random token
of its own; the present one is the first without an answer. So a reader goes on exactly there, on any device.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from chestgan_core.reading.design import Part
from chestgan_portal.database.tables import Account, Answer, Participation, Presentation, Study

WARM_UP: Part = "warm-up"
_SEEDS = 2**31  # what an integer column of every database holds


@dataclass(frozen=True)
class Place:
    """Where a reader is. presentation: the present one; None once all have an answer. part: warm-up or main, as the
    reader is told (a repeat is part of the main part, and is not announced). number, count: of this part, from 1.
    answered: of all presentations, `presentations`.
    """

    presentation: Presentation | None
    part: Part
    number: int
    count: int
    answered: int
    presentations: int

    @property
    def begins(self) -> bool:
        """Whether the present image is the first of its part and was not shown yet."""
        return self.presentation is not None and self.number == 1 and self.presentation.shown_at is None


def join(
    db: Session,
    study: Study,
    account: Account,
    order: Callable[[int], Sequence[tuple[int, Part]]],
    *,
    with_profile: bool,
) -> Participation:
    """Take part, once: a second time it is the same participation. Commits.

    order: from a seed the items with their parts. with_profile: whether profession, years and specialty are noted.
    """
    if found := participation_of(db, study, account):
        return found
    seed = secrets.randbelow(_SEEDS)
    participation = Participation(
        study_id=study.id, account_id=account.id, reader=f"r{secrets.token_hex(4)}", seed=seed
    )
    if with_profile:
        participation.profession, participation.specialty = account.profession, account.specialty
        participation.years = account.years
    planned = order(seed)
    try:
        add_presentations(db, participation, planned)
        db.commit()
    except IntegrityError:
        db.rollback()  # the same reader joined on another device at this moment
        found = participation_of(db, study, account)
        if found is None:
            raise
        return found
    return participation


def participation_of(db: Session, study: Study, account: Account) -> Participation | None:
    """Of this account in this study."""
    return db.scalar(
        select(Participation).where(
            Participation.study_id == study.id, Participation.account_id == account.id
        )
    )


def place_of(db: Session, participation: Participation) -> Place:
    """Where the reader is now."""
    of_reader = Presentation.participation_id == participation.id
    counted = select(
        func.count(Presentation.id),
        func.count(Answer.presentation_id),
        func.count(Presentation.id).filter(Presentation.part == WARM_UP),
    )
    presentations, answered, warm_up = db.execute(
        counted.outerjoin(Answer, Answer.presentation_id == Presentation.id).where(of_reader)
    ).one()
    present = present_one(db, participation.id)
    part: Part = WARM_UP if present is not None and present.part == WARM_UP else "main"
    position = presentations if present is None else present.position
    if part == WARM_UP:
        return Place(present, part, position + 1, warm_up, answered, presentations)
    return Place(present, part, position - warm_up + 1, presentations - warm_up, answered, presentations)


def present_one(db: Session, participation_id: int) -> Presentation | None:
    """The first presentation without an answer."""
    return db.scalar(
        select(Presentation)
        .outerjoin(Answer, Answer.presentation_id == Presentation.id)
        .where(Presentation.participation_id == participation_id, Answer.presentation_id.is_(None))
        .order_by(Presentation.position)
        .limit(1)
    )


def add_presentations(db: Session, participation: Participation, planned: Iterable[tuple[int, Part]]) -> None:
    """Add a new participation with a presentation per item, each with a token of its own. The caller commits.

    Raises IntegrityError: the account takes part already.
    """
    db.add(participation)
    db.flush()
    db.add_all(
        Presentation(
            participation_id=participation.id,
            position=position,
            item=item,
            part=part,
            token=secrets.token_urlsafe(24),
        )
        for position, (item, part) in enumerate(planned)
    )
    db.flush()
