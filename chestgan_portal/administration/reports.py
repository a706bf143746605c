"""/admin/reports: the pages that the pipeline wrote, of all experiments, with links to what made them.

In: the store. Out: a table per kind; the files themselves are streamed by /files/, with the portal's own rights, so no
address of the store reaches a browser.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from fastapi import APIRouter, Request
from sqlalchemy import select
from starlette.responses import Response

from chestgan_core.evaluation.newest_files import NewestFiles, newest_files
from chestgan_portal.administration.pipeline_links import asset_page
from chestgan_portal.database.tables import Study
from chestgan_portal.pages.languages import _, later
from chestgan_portal.pages.render import render
from chestgan_portal.security.visitors import BROWSER, Administrator, Database

TITLES = {
    "report": later("Metric reports"),
    "comparison": later("Comparisons"),
    "leaderboard": later("All experiments"),
    "month": later("Months"),
    "study": later("Hyperparameter studies"),
}
SUBJECTS = {
    "report": later("Experiment"),
    "comparison": later("Comparison"),
    "leaderboard": later("Experiments"),
    "month": later("Month"),
    "study": later("Experiment"),
}
# Assets of the pipeline, and whether they have a partition of the subject's name.
_ASSETS = {
    "report": ("metric_report", True),
    "leaderboard": ("leaderboard", False),
    "month": ("monthly_report", True),
    "study": ("hyperparameter_study", True),
}
_COMPARISONS = {"architecture": "architecture_comparison", "tuning": "tuning_comparison"}

router = APIRouter(prefix="/admin/reports", dependencies=BROWSER)


@dataclass(frozen=True)
class Row:
    """files: name -> address. links: text -> address in the Dagster UI. fault: why it cannot be read, or ""."""

    subject: str
    at: datetime | None
    version: str
    files: Mapping[str, str]
    links: Mapping[str, str]
    fault: str


@router.get("")
def reports(request: Request, administrator: Administrator, db: Database) -> Response:
    """Newest of each experiment, comparison, month and study. Raises StoreError: the store does not answer."""
    pipeline = request.app.state.settings.pipeline
    found = newest_files(request.app.state.store())
    sections = {family: [row(item, pipeline) for item in found if item.family == family] for family in TITLES}
    closed = db.scalars(select(Study).where(Study.state == "closed").order_by(Study.name)).all()
    return render(
        request,
        "administration/reports.html",
        sections=sections,
        titles={name: _(title) for name, title in TITLES.items()},
        subjects={name: _(title) for name, title in SUBJECTS.items()},
        closed=[
            (study, asset_page(pipeline, "reader_study_result", study.design["set_name"])) for study in closed
        ],
    )


def row(item: NewestFiles, pipeline: str) -> Row:
    """A line of a table. pipeline: address of the Dagster UI, "" for none."""
    asset, partitioned = _ASSETS.get(item.family, (_COMPARISONS.get(item.subject, ""), False))
    files = {name: f"/files/{quote(item.folder)}/{quote(name)}" for name in item.files}
    links = asset_page(pipeline, asset, item.subject if partitioned else "") if asset else {}
    return Row(item.subject, item.at, item.version, files, links, item.fault)
