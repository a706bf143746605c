"""The result of a closed study: its page, its charts and tables as files, and the answers as CSV.

Nothing of it exists while a study is open or paused: then these addresses answer 404, for administrators too.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.reading.pages.result_page import result_document
from chestgan_core.reading.stored_answers import answers_csv
from chestgan_core.reading.stored_result import CHARTS, DATA, PAGE, PDF, TABLES, read_numbers
from chestgan_core.store.store import Store
from chestgan_portal.administration.studies import Name, study_named
from chestgan_portal.administration.study_state import answers_of
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.tables import Study
from chestgan_portal.pages.render import render
from chestgan_portal.reading.results import result_artefact
from chestgan_portal.reading.studies import design_of
from chestgan_portal.security.visitors import BROWSER, Administrator, Database
from chestgan_web.stored_files import file_response

router = APIRouter(prefix="/admin/studies/{name}", dependencies=BROWSER)


@router.get("/result")
def result(request: Request, name: Name, administrator: Administrator, db: Database) -> Response:
    """Finding, charts, and the numbers beside them. Raises StoreError."""
    study = _closed(study_named(db, name))
    db.commit()  # no connection is held while the store is asked
    store: Store = request.app.state.store()
    artefact = result_artefact(store, study)
    found = read_numbers(store, artefact)
    names = [artefact.name(item) for item in artefact.objects]
    charts = {
        name.removeprefix(f"{CHARTS}/"): store.read(artefact, name)
        for name in names
        if name.startswith(f"{CHARTS}/")
    }
    return render(
        request,
        "administration/studies_result.html",
        study=study,
        design=design_of(study),
        document=result_document(found, charts),
        addresses={
            png: f"/admin/studies/{study.name}/result/{CHARTS}/{chart}" for chart, png in charts.items()
        },
        tables=[name for name in names if name.startswith(f"{TABLES}/")],
        page=PAGE,
        pdf=PDF,
    )


@router.get("/result/{path:path}")
def result_file(
    request: Request,
    name: Name,
    path: Annotated[str, Path(max_length=200)],
    administrator: Administrator,
    db: Database,
) -> Response:
    """A chart, a table, the report. 404: no such file. Raises StoreError."""
    study = _closed(study_named(db, name))
    if not path.startswith((f"{CHARTS}/", f"{TABLES}/")) and path not in (PAGE, PDF, DATA):
        raise HTTPException(404)
    db.commit()
    store: Store = request.app.state.store()
    artefact = result_artefact(store, study)
    try:
        item = artefact.find(path)
    except (BadInput, NotInStore) as error:
        raise HTTPException(404) from error
    return file_response(store, path, item)


@router.get("/answers.csv")
def answers(name: Name, administrator: Administrator, db: Database) -> Response:
    """Every answer, by the random names of the readers and without the truth."""
    study = _closed(study_named(db, name))
    text = answers_csv(answers_of(db, study))
    note_deed(db, administrator, "save answers of study", name)
    db.commit()
    headers = {"content-disposition": f'attachment; filename="{study.name}-answers.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def _closed(study: Study) -> Study:
    """Raises HTTPException 404."""
    if study.state != "closed":
        raise HTTPException(404)
    return study
