"""/admin/studies: the list, the states of a study, and how far its readers have come."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chestgan_core.errors import BadInput, StoreError
from chestgan_core.publishing.versions.status import SetWithdrawn, require_not_withdrawn
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.images.choosing import TooFewImages
from chestgan_portal.administration import study_drafts as drafts
from chestgan_portal.administration.study_giveaways import giveaways_of
from chestgan_portal.administration.study_progress import progress_of
from chestgan_portal.administration.study_state import change_state, opening, reporting
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import Account, Participation, Study, now
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.reading.studies import design_of, presentations_of
from chestgan_portal.security.visitors import BROWSER, Administrator, Database

router = APIRouter(prefix="/admin/studies", dependencies=BROWSER)
Name = Annotated[str, Path(max_length=128)]
_PATIENCE = 2.0  # seconds that a page waits for the store's word on a withdrawn set


@router.get("")
def studies(request: Request, administrator: Administrator, db: Database) -> Response:
    """All, the newest first."""
    counted = (
        select(Study, func.count(Participation.id), func.count(Participation.finished_at))
        .outerjoin(Participation, Participation.study_id == Study.id)
        .group_by(Study.id)
        .order_by(Study.id.desc())
    )
    listed = db.scalars(select(Study).where(Study.state == "open")).all()
    db.commit()  # no connection is held while the store is asked
    request.app.state.withdrawals.look(*listed, patience=_PATIENCE)
    found = db.execute(counted.execution_options(populate_existing=True)).all()
    rows = [(study, design_of(study), readers, finished) for study, readers, finished in found]
    return render(request, "administration/studies.html", rows=rows)


@router.get("/{name}")
def study(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """What can be done with it now."""
    found = study_named(db, name)
    db.commit()
    request.app.state.withdrawals.look(found, patience=_PATIENCE)
    db.refresh(found)
    return render(request, "administration/studies_one.html", **_shown(request, db, found))


@router.get("/{name}/job")
def job(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """Whether its job still runs, for htmx: once it does not, the whole page is loaded again."""
    found = study_named(db, name)
    present = request.app.state.study_jobs.of(found.id)
    if present is not None and not present.failed:
        return Response(status_code=204)
    return go_to(request, f"/admin/studies/{name}")


@router.post("/{name}/open")
def open_(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """Freeze a draft, and take readers."""
    found = draft_named(db, name)
    state = request.app.state
    state.study_jobs.start(found.id, "opening", opening(state.engine, state.store, found, administrator))
    return go_to(request, f"/admin/studies/{name}")


@router.post("/{name}/pause")
def pause(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """Take no answers for a while."""
    return _changed(request, db, study_named(db, name), administrator, ("open",), "paused")


@router.post("/{name}/resume")
def resume(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """Take answers again, unless the set was withdrawn. Raises StoreError: that is not known now."""
    found = study_named(db, name)
    design = design_of(found)
    try:
        require_not_withdrawn(request.app.state.store(), design.set_name, design.set_version)
    except SetWithdrawn:
        sentence = _("Its set was withdrawn, so it takes no more answers. You can close it.")
        return page_of(request, db, found, sentence, 409)
    return _changed(request, db, found, administrator, ("paused",), "open")


@router.post("/{name}/close")
def close(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """Take no more answers, for good, and compute the result."""
    found = study_named(db, name)
    response = _changed(request, db, found, administrator, ("open", "paused"), "closed", closed_at=now())
    db.refresh(found)
    if found.state == "closed" and not found.result_version:
        _report(request, found)
    return response


@router.post("/{name}/report")
def report(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """Compute the result again: the thread that did it has failed, or its process has ended."""
    found = study_named(db, name)
    if found.state == "closed":
        note_deed(db, administrator, "compute result of study", name)
        db.commit()
        _report(request, found)
    return go_to(request, f"/admin/studies/{name}")


@router.post("/{name}/release")
def release(
    request: Request,
    name: Name,
    administrator: Administrator,
    db: Database,
    released: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Let each reader of a closed study see his or her own result, or not any more."""
    found = study_named(db, name)
    if found.state == "closed":
        found.released_at = now() if released == "yes" else None
        deed = "release results to readers" if released == "yes" else "withhold results from readers"
        note_deed(db, administrator, deed, name)
        db.commit()
    return go_to(request, f"/admin/studies/{name}", said="saved")


def _report(request: Request, found: Study) -> None:
    state = request.app.state
    state.study_jobs.start(found.id, "result", reporting(state.engine, state.store, found))


def _changed(
    request: Request,
    db: Session,
    found: Study,
    administrator: Account,
    before: tuple[str, ...],
    state: str,
    **values: Any,
) -> Response:
    if change_state(db, found, administrator, before, state, **values):
        return go_to(request, f"/admin/studies/{found.name}", said="saved")
    db.refresh(found)
    sentence = _("The study is in another state by now; nothing was changed.")
    return page_of(request, db, found, sentence, 409)


def page_of(request: Request, db: Session, found: Study, sentence: str, status: int) -> Response:
    """The page of a study, with what went wrong above it."""
    return render(request, "administration/studies_one.html", status, **_shown(request, db, found, sentence))


def _shown(request: Request, db: Session, found: Study, sentence: str = "") -> dict[str, Any]:
    design = design_of(found)
    job = request.app.state.study_jobs.of(found.id)
    shown: dict[str, Any] = {
        "study": found,
        "design": design,
        "presentations": presentations_of(design),
        "job": job,
        "job_failed": _(job.failed) if job else "",
        "sentence": sentence,
        "standings": _standings(),
        "readers": progress_of(db, found) if found.state != "draft" else [],
        "giveaways": giveaways_of(db, found.name) if found.state != "draft" else [],
        "preview": None,
        "preview_fault": "",
    }
    if found.state == "draft" and job is None:
        db.commit()  # no connection is held while the store is asked
        shown |= _preview(request, design)
    return shown


def _standings() -> dict[str, str]:
    return {
        "finished": _("finished"),
        "reading": _("reading"),
        "quiet": _("no answer for a week"),
        "not begun": _("not begun"),
        "stopped": _("did not finish"),
    }


def _preview(request: Request, design: StudyDesign) -> dict[str, Any]:
    store = request.app.state.store
    try:
        require_not_withdrawn(store(), design.set_name, design.set_version)
        return {"preview": drafts.preview(store(), design)}
    except TooFewImages as error:
        return {"preview_fault": drafts.too_few(error)}
    except (BadInput, StoreError) as error:
        return {"preview_fault": str(error)}


def study_named(db: Session, name: str) -> Study:
    """Raises HTTPException 404."""
    found = db.scalar(select(Study).where(Study.name == name))
    if found is None:
        raise HTTPException(404)
    return found


def draft_named(db: Session, name: str) -> Study:
    """Raises HTTPException 404, and 409: it is not a draft any more."""
    found = study_named(db, name)
    if found.state != "draft":
        raise HTTPException(409, _("This study was opened already: its design is frozen."))
    return found
