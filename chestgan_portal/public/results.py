"""/results: what was measured, as numbers and charts. Slices of real patients are on none of these pages.

The pages of a comparison and of a metric report have real slices beside synthetic ones. Administrators alone get them:
neither visitors nor readers, who would learn from them which images of a study are real.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import Response

from chestgan_core.errors import DamagedObject, NotInStore
from chestgan_core.evaluation.scoring.read_report import ReadReport
from chestgan_core.store.store import Store
from chestgan_portal.pages.render import render
from chestgan_portal.public import findings, month_results, tuning_results
from chestgan_portal.public.bars import chart_of, shares
from chestgan_portal.public.kept import Kept
from chestgan_portal.public.library import Library
from chestgan_portal.public.shown_sets import Index, library
from chestgan_portal.security.visitors import BROWSER

router = APIRouter(prefix="/results", dependencies=BROWSER)
CHARTED = ("KID", "FID", "coverage", "memorized fraction")
MONTHLY = ("KID", "FID", "coverage", "memorized fraction")
_KEPT = 20.0  # seconds
Found = TypeVar("Found")
Month = Annotated[str, Query(max_length=7, pattern=r"^(\d{4}-\d\d)?$")]


def _read(request: Request, name: str, read: Callable[[Store], Found]) -> Found:
    """Kept for some seconds, for the whole application."""
    state = request.app.state
    if not hasattr(state, "results"):
        state.results = Kept(100, _KEPT)
    books = library(request)
    found: Found = state.results.get(name, lambda: read(books.store))
    return found


@router.get("")
def overview(request: Request) -> Response:
    """The newest report of every experiment."""
    found = _read(request, "reports", findings.reports)
    return _page(request, "reports", reports=[one for one in found if not _is_annex(one)])


@router.get("/comparisons")
def comparisons(request: Request) -> Response:
    """Architectures, tuned experiments, and what else was compared."""
    found = _read(request, "comparisons", findings.comparisons)
    charts = {
        one.name: [
            chart for name in CHARTED if (chart := chart_of(name, one.measures.get(name, ()))) is not None
        ]
        for one in found
    }
    return _page(request, "comparisons", comparisons=found, charts=charts)


@router.get("/studies")
def studies(request: Request) -> Response:
    """Hyperparameter studies."""
    found = _read(request, "studies", tuning_results.studies)
    charts = {
        one.experiment: shares(sorted(one.facts.importances.items(), key=lambda pair: -pair[1]))
        for one in found
    }
    return _page(request, "studies", studies=found, charts=charts)


@router.get("/months")
def months(request: Request, month: Month = "") -> Response:
    """The report of a month, by default of the newest."""
    listed = _read(request, "months", month_results.months)
    if month and month not in listed:
        raise HTTPException(404)
    chosen = month or (listed[0] if listed else "")
    found = (
        _read(request, f"month {chosen}", lambda store: month_results.month(store, chosen))
        if chosen
        else None
    )
    return _page(request, "months", months=listed, chosen=chosen, month=found, measures=MONTHLY)


@router.get("/annexes")
def annexes(request: Request) -> Response:
    """Collections of pictures without Hounsfield units: the X-rays, and others, each with its film."""
    found = [one for one in _read(request, "reports", findings.reports) if _is_annex(one)]
    books = library(request)
    by_dataset: dict[str, list[tuple[ReadReport, int]]] = {}
    for one in found:
        by_dataset.setdefault(one.payload.data.title, []).append((one, len(_frames(request, books, one))))
    return _page(request, "annexes", datasets=by_dataset)


@router.get("/films/{experiment}/{number}.png")
def film(request: Request, experiment: str, number: Index) -> Response:
    """A frame of the film of the newest reported run of an experiment; all its images are synthetic."""
    found = next((one for one in _read(request, "reports", findings.reports) if one.name == experiment), None)
    frames = _frames(request, library(request), found) if found else ()
    if not 0 <= number < len(frames):
        raise HTTPException(404)
    return Response(frames[number], media_type="image/png", headers={"cache-control": "private, max-age=60"})


@router.get("/readers")
def readers(request: Request) -> Response:
    """What reader studies found, of all readers together."""
    return _page(request, "readers", results=_read(request, "readers", findings.reader_results))


@router.get("/readers/{set_name}/{chart}.png")
def reader_chart(request: Request, set_name: str, chart: str) -> Response:
    """A chart of the newest result about a set: curves and bars, no images."""
    results = _read(request, "readers", findings.reader_results)
    found = next((one for one in results if one.set_name == set_name and chart in one.charts), None)
    if found is None:
        raise HTTPException(404)
    png = _read(
        request, f"chart {found.version} {chart}", lambda store: findings.reader_chart(store, found, chart)
    )
    return Response(png, media_type="image/png", headers={"cache-control": "private, max-age=60"})


def _is_annex(report: ReadReport) -> bool:
    return report.payload.window.unit != "HU"


def _frames(request: Request, books: Library, report: ReadReport) -> tuple[bytes, ...]:
    try:
        run = _read(
            request, f"run {report.name} {report.version}", lambda store: findings.run_of(store, report)
        )
        return books.film(run)
    except (DamagedObject, NotInStore):
        return ()


def _page(request: Request, tab: str, **shown: Any) -> Response:
    return render(request, f"public/results_{tab}.html", tab=tab, **shown)
