"""/admin/studies: drafts, the states of a study, and how far its readers have come."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chestgan_core.errors import BadInput, StoreError
from chestgan_core.publishing.withdrawal import SetWithdrawn, require_not_withdrawn
from chestgan_core.reading.design import StudyDesign, half_width_of
from chestgan_portal.administration import study_drafts as drafts
from chestgan_portal.administration.deeds import note_deed
from chestgan_portal.administration.pipeline_links import asset_page
from chestgan_portal.administration.study_progress import progress_of
from chestgan_portal.administration.study_state import change_state, opening, reporting
from chestgan_portal.database.tables import Account, Participation, Study, now
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.reading.studies import design_of, presentations_of
from chestgan_portal.security.visitors import BROWSER, Administrator, Database

router = APIRouter(prefix="/admin/studies", dependencies=BROWSER)
Name = Annotated[str, Path(max_length=128)]
_Text = Annotated[str, Form(max_length=300)]
_Short = Annotated[str, Form(max_length=16)]
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


@router.get("/new")
def new(request: Request, administrator: Administrator) -> Response:
    """An empty form."""
    return _form(request, drafts.new_draft(), None)


@router.get("/precision")
def precision(
    request: Request,
    administrator: Administrator,
    half_width: Annotated[str, Query(max_length=16)] = "",
) -> Response:
    """The field of the number of images, computed; a part of the form, for htmx."""
    return render(
        request, "administration/studies_images.html", draft=_computed(drafts.new_draft(), half_width)
    )


def _values(
    title: _Text = "",
    study: Annotated[str, Form(max_length=200)] = "",
    set_: Annotated[str, Form(alias="set", max_length=300)] = "",
    half_width: _Short = "",
    images_per_side: _Short = "",
    max_per_patient: _Short = "",
    repeats: _Short = "",
    warm_up: _Short = "",
    seed: _Short = "",
    ask_verdict: _Short = "",
    ask_tumour: _Short = "",
    zoom: _Short = "",
    window: _Short = "",
) -> dict[str, str]:
    """The fields of the form of a draft; the name of a study is `study` in it."""
    return {
        "name": study,
        "title": title,
        "set": set_,
        "half_width": half_width,
        "images_per_side": images_per_side,
        "max_per_patient": max_per_patient,
        "repeats": repeats,
        "warm_up": warm_up,
        "seed": seed,
        "ask_verdict": ask_verdict,
        "ask_tumour": ask_tumour,
        "zoom": zoom,
        "window": window,
    }


_Values = Annotated[dict[str, str], Depends(_values)]


@router.post("/draft")
def save_new(
    request: Request, administrator: Administrator, db: Database, values: _Values, compute: _Short = ""
) -> Response:
    """Keep a new draft, or compute its number of images and show the form again."""
    return _save(request, db, administrator, values, compute, None)


@router.post("/{name}/draft")
def save(
    request: Request,
    name: Name,
    administrator: Administrator,
    db: Database,
    values: _Values,
    compute: _Short = "",
) -> Response:
    """The same of a draft that there is."""
    return _save(request, db, administrator, values, compute, _draft(db, name))


def _save(
    request: Request,
    db: Session,
    administrator: Account,
    values: dict[str, str],
    compute: str,
    present: Study | None,
) -> Response:
    if compute:
        return _form(request, _computed(drafts.Draft(values), values["half_width"]), present)
    draft = drafts.read_draft(values)
    if draft.design is None:
        return _form(request, draft, present, 422)
    fields = draft.design.model_dump(mode="json")
    if present:
        present.name, present.design = draft.design.name, fields
        note_deed(db, administrator, "change draft of study", draft.design.name)
    else:
        db.add(Study(name=draft.design.name, design=fields, created_by=administrator.username))
        note_deed(db, administrator, "draft study", draft.design.name)
    try:
        db.commit()
    except IntegrityError:
        db.rollback()
        draft.errors["name"] = _("There is a study of this name already.")
        return _form(request, draft, present, 422)
    return go_to(request, f"/admin/studies/{draft.design.name}", said="saved")


def _computed(draft: drafts.Draft, half_width: str) -> drafts.Draft:
    images = drafts.images_per_side_for(half_width)
    if images is None:
        draft.errors["half_width"] = _("A precision that a study can have, from 1.6 to 49 points.")
    else:
        draft.values["images_per_side"] = str(images)
        draft.values["computed"] = f"{half_width_of(2 * images) * 100:.1f}"
    draft.values["half_width"] = half_width
    return draft


def _form(request: Request, draft: drafts.Draft, present: Study | None, status: int = 200) -> Response:
    """Raises StoreError."""
    sets = drafts.offered_sets(request.app.state.store())
    if request.query_params.get("set") in {one.value for one in sets if not one.reason}:
        draft.values["set"] = request.query_params["set"]
    pipeline = request.app.state.settings.pipeline
    missing = sorted({one.name for one in sets if one.reason})
    return render(
        request,
        "administration/studies_form.html",
        status,
        draft=draft,
        present=present,
        sets=sets,
        links={name: asset_page(pipeline, "reader_study_images", name) for name in missing},
    )


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


@router.get("/{name}/edit")
def edit(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """The form of a draft."""
    found = _draft(db, name)
    return _form(request, drafts.draft_of(design_of(found)), found)


@router.post("/{name}/delete")
def delete(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """Only a draft: what readers have answered stays."""
    found = _draft(db, name)
    db.delete(found)
    note_deed(db, administrator, "delete draft of study", name)
    db.commit()
    return go_to(request, "/admin/studies", said="deleted")


@router.post("/{name}/open")
def open_(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """Freeze a draft, and take readers."""
    found = _draft(db, name)
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
    except SetWithdrawn as error:
        return page_of(request, db, found, str(error), 409)
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
    except (BadInput, StoreError) as error:
        return {"preview_fault": str(error)}


def study_named(db: Session, name: str) -> Study:
    """Raises HTTPException 404."""
    found = db.scalar(select(Study).where(Study.name == name))
    if found is None:
        raise HTTPException(404)
    return found


def _draft(db: Session, name: str) -> Study:
    """Raises HTTPException 404, and 409: it is not a draft any more."""
    found = study_named(db, name)
    if found.state != "draft":
        raise HTTPException(409, _("This study was opened already: its design is frozen."))
    return found
