"""What an administrator does to a study: open, pause, resume, close; and what follows in a thread.

    draft -> open <-> paused -> closed

In: a row of `studies`. Out: its next state, committed. Opening freezes the study in the store; closing commits the
answers without persons, and then analyses them. No state is skipped: each change names the state that it starts from.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from chestgan_core.errors import BadInput
from chestgan_core.publishing.versions.status import require_not_withdrawn
from chestgan_core.reading import answers as rows
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.images.frozen_study import freeze_study
from chestgan_core.reading.stored_answers import commit_answers
from chestgan_core.reading.stored_result import report_study
from chestgan_core.store.store import Store
from chestgan_portal.administration.study_giveaways import measure, tell_administrators
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import Account, Answer, Participation, Presentation, Study, now


def change_state(
    db: Session, study: Study, administrator: Account, before: tuple[str, ...], state: str, **values: Any
) -> bool:
    """Commit a change of state with its deed. False: the study is in another state by now, and nothing is changed."""
    deed = {"open": "open study", "paused": "pause study", "closed": "close study"}[state]
    if before == ("paused",) and state == "open":
        deed = "resume study"
    changed = db.execute(
        update(Study)
        .where(Study.id == study.id, Study.state.in_(before))
        .values(state=state, **({"paused_because": ""} | values))
    )
    if not changed.rowcount:  # type: ignore[attr-defined]
        db.rollback()
        return False
    note_deed(db, administrator, deed, study.name)
    db.commit()
    return True


def opening(
    engine: Engine, open_store: Callable[[], Store], study: Study, administrator: Account
) -> Callable[[], None]:
    """The work of opening: freeze, look for what gives images away, and take readers."""
    design = StudyDesign.model_validate(study.design)

    def work() -> None:
        store = open_store()
        require_not_withdrawn(store, design.set_name, design.set_version)
        frozen = freeze_study(store, design)
        found_giveaways = measure(store, frozen)
        with Session(engine, expire_on_commit=False) as db:
            found = db.get_one(Study, study.id)
            if found.design != study.design:
                raise BadInput(f"study {study.name}", "its draft was changed meanwhile", "open it again")
            tell_administrators(db, study.name, found_giveaways)
            change_state(
                db, found, administrator, ("draft",), "open", version=frozen.version, opened_at=now()
            )

    return work


def reporting(engine: Engine, open_store: Callable[[], Store], study: Study) -> Callable[[], None]:
    """The work after closing: commit the answers, analyse them, commit the result."""
    set_name = StudyDesign.model_validate(study.design).set_name

    def work() -> None:
        store = open_store()
        with Session(engine) as db:
            answers = answers_of(db, study)
        if not answers.answers:
            raise BadInput(f"study {study.name}", "nobody has answered", "there is no result of it")
        committed = commit_answers(store, set_name, answers)
        found = report_study(store, set_name)
        if found.result.design.name != study.name:
            cause = f"another study of the set {set_name} was closed at the same moment"
            raise BadInput(f"study {study.name}", cause, "compute the result again")
        versions = {
            "answers_version": str(committed.manifest["version"]),
            "result_version": found.version,
        }
        with Session(engine) as db:
            db.execute(update(Study).where(Study.id == study.id).values(**versions))
            db.commit()

    return work


def answers_of(db: Session, study: Study) -> rows.StudyAnswers:
    """All answers of a study, without persons: readers are random names that exist in it only."""
    readers, answers = [], []
    participations = db.scalars(
        select(Participation).where(Participation.study_id == study.id).order_by(Participation.reader)
    )
    for participation in participations:
        found = db.execute(
            select(Presentation, Answer)
            .outerjoin(Answer, Answer.presentation_id == Presentation.id)
            .where(Presentation.participation_id == participation.id)
            .order_by(Presentation.position)
        ).all()
        given = [(shown, answer) for shown, answer in found if answer is not None]
        readers.append(
            rows.Reader(
                reader=participation.reader,
                profession=participation.profession,
                specialty=participation.specialty,
                years=participation.years,
                presentations=len(found),
                finished=len(given) == len(found),
            )
        )
        answers += [_row(participation.reader, shown, answer) for shown, answer in given]
    return rows.StudyAnswers(
        study=study.name, version=study.version, readers=tuple(readers), answers=tuple(answers)
    )


def _row(reader: str, shown: Presentation, answer: Answer) -> rows.Answer:
    asked = (
        "rating",
        "verdict",
        "confidence",
        "tumour_seen",
        "tumour_x",
        "tumour_y",
        "conspicuity",
        "seconds",
        "answered_at",
    )
    return rows.Answer.model_validate(
        {
            "reader": reader,
            "item": shown.item,
            "part": shown.part,
            "position": shown.position,
            **{name: getattr(answer, name) for name in asked},
        }
    )
