"""The drafts of studies: the form, how many images a precision needs, and what is kept of it.

In: fields of a form. Out: a row of `studies` in the state draft, which may still change in everything.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.responses import Response

from chestgan_core.reading.design import half_width_of
from chestgan_portal.administration import study_drafts as drafts
from chestgan_portal.administration.pipeline_links import asset_page
from chestgan_portal.administration.studies import Name, draft_named
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import Account, Study
from chestgan_portal.pages.languages import _
from chestgan_portal.pages.render import go_to, render
from chestgan_portal.reading.studies import design_of
from chestgan_portal.security.visitors import BROWSER, Administrator, Database

# Included before the pages of studies: /new is not the name of one.
router = APIRouter(prefix="/admin/studies", dependencies=BROWSER)
_Text = Annotated[str, Form(max_length=300)]
_Short = Annotated[str, Form(max_length=16)]


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
    return _save(request, db, administrator, values, compute, draft_named(db, name))


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
    missing = sorted({one.name for one in sets if one.reason and not one.withdrawn})
    return render(
        request,
        "administration/studies_form.html",
        status,
        draft=draft,
        present=present,
        sets=sets,
        links={name: asset_page(pipeline, "reader_study_images", name) for name in missing},
    )


@router.get("/{name}/edit")
def edit(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """The form of a draft."""
    found = draft_named(db, name)
    return _form(request, drafts.draft_of(design_of(found)), found)


@router.post("/{name}/delete")
def delete(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """Only a draft: what readers have answered stays."""
    found = draft_named(db, name)
    db.delete(found)
    note_deed(db, administrator, "delete draft of study", name)
    db.commit()
    return go_to(request, "/admin/studies", said="deleted")
