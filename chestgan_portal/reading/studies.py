"""The studies that a reader may take part in: what will be asked, what is kept, and joining."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chestgan_core.reading.design import StudyDesign
from chestgan_portal.accounts.fields import PROFESSIONS, SPECIALTIES
from chestgan_portal.database.tables import Account, Study
from chestgan_portal.pages.languages import _, ngettext
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.reading.order import join, participation_of, place_of
from chestgan_portal.security.visitors import BROWSER, Database, LoggedIn

router = APIRouter(prefix="/studies", dependencies=BROWSER)
Name = Annotated[str, Path(max_length=128)]
_PATIENCE = 2.0  # seconds that a page waits for the store's word on a withdrawn set
# That an answer takes, roughly; a reader is told minutes.
_SECONDS = {"rating": 6, "verdict": 6, "tumour": 10}


@router.get("")
def studies(request: Request, account: LoggedIn, db: Database) -> Response:
    """Open ones, and those in which the account takes part."""
    found = select(Study).where(Study.state != "draft").order_by(Study.opened_at.desc())
    listed = db.scalars(found).all()
    db.commit()  # no connection is held while the store is asked
    request.app.state.withdrawals.look(*listed, patience=_PATIENCE)
    rows = []
    for study in db.scalars(found.execution_options(populate_existing=True)):
        participation = participation_of(db, study, account)
        if study.state == "open" or participation:
            place = place_of(db, participation) if participation else None
            rows.append((study, design_of(study), participation, place))
    return render(request, "reading/studies.html", rows=rows)


@router.get("/{name}")
def study(request: Request, name: Name, account: LoggedIn, db: Database) -> Response:
    """One of them."""
    found = visible_study(db, name)
    db.commit()
    request.app.state.withdrawals.look(found, patience=_PATIENCE)
    db.refresh(found)
    return _page(request, db, found, account)


@router.post("/{name}/join")
def join_study(
    request: Request,
    name: Name,
    account: LoggedIn,
    db: Database,
    agreed: Annotated[str, Form(max_length=8)] = "",
    profile: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Draw the order of this reader, and begin."""
    found = visible_study(db, name)
    if participation_of(db, found, account):
        return go_to(request, f"/studies/{name}/reading")
    if account.is_administrator or found.state != "open" or agreed != "yes":
        return _page(request, db, found, account, refused=True)
    db.commit()  # no connection is held while the study is read from the store
    order = request.app.state.frozen.get(found).order
    join(db, found, account, order, with_profile=profile == "yes")
    return go_to(request, f"/studies/{name}/reading")


def _page(
    request: Request, db: Session, found: Study, account: Account, *, refused: bool = False
) -> Response:
    design = design_of(found)
    participation = participation_of(db, found, account)
    return render(
        request,
        "reading/study.html",
        409 if refused else 200,
        study=found,
        design=design,
        images=presentations_of(design),
        minutes=_minutes(design),
        participation=participation,
        place=place_of(db, participation) if participation else None,
        about=_about(account),
        refused=refused,
    )


def _about(account: Account) -> list[str]:
    """What the account says of the reader's profession, specialty and years, in the language of the page."""
    kept = ((PROFESSIONS, account.profession), (SPECIALTIES, account.specialty))
    said = [_(texts.get(value, value)) for texts, value in kept if value]
    if account.years is not None:
        years = ngettext("%(num)s year of experience", "%(num)s years of experience", account.years)
        said.append(years % {"num": account.years})
    return said


def visible_study(db: Session, name: str) -> Study:
    """A study that is not a draft. Raises HTTPException 404."""
    found = db.scalar(select(Study).where(Study.name == name))
    if found is None or found.state == "draft":
        raise HTTPException(404)
    return found


def design_of(study: Study) -> StudyDesign:
    """As it was frozen, or as it is drafted."""
    return StudyDesign.model_validate(study.design)


def presentations_of(design: StudyDesign) -> int:
    """How many images one reader is shown, warm-up and repeats included."""
    main = 2 * design.images_per_side
    return design.warm_up + main + round(design.repeats * main)


def _minutes(design: StudyDesign) -> int:
    seconds = _SECONDS["rating"] + design.ask_verdict * _SECONDS["verdict"]
    seconds += design.ask_tumour * _SECONDS["tumour"]
    minutes = presentations_of(design) * seconds / 60
    return max(5, 5 * round(minutes / 5))
