"""What the administrators are told: messages of the pipeline, and what the portal itself noticed.

In: rows of `notifications`. Out: the page of the last 7 days, each as a plain sentence with links into the Dagster UI.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from sqlalchemy import select
from starlette.responses import Response

from chestgan_portal.administration.pipeline_links import asset_page, run_page
from chestgan_portal.administration.study_giveaways import KIND as GIVEAWAYS
from chestgan_portal.database.tables import Notification, now
from chestgan_portal.pages.languages import _, ngettext
from chestgan_portal.pages.render import render
from chestgan_portal.reading.withdrawals import withdrawn_sentence
from chestgan_portal.security.visitors import BROWSER, Administrator, Database

SHOWN = timedelta(days=7)
_MOST = 500  # rows of a page

router = APIRouter(prefix="/admin/notifications", dependencies=BROWSER)


@dataclass(frozen=True)
class Line:
    """A notification for a person. badge: how it is marked, good, bad, warn or neutral. links: text -> address."""

    at: datetime
    badge: str
    title: str
    sentence: str
    links: dict[str, str]


@router.get("")
def notifications(request: Request, administrator: Administrator, db: Database) -> Response:
    """Those of the last 7 days, the newest first."""
    recent = select(Notification).where(Notification.received_at > now() - SHOWN)
    rows = db.scalars(recent.order_by(Notification.at.desc()).limit(_MOST)).all()
    settings = request.app.state.settings
    return render(
        request,
        "administration/notifications.html",
        lines=[line(row, settings.pipeline) for row in rows],
        days=SHOWN.days,
        accepts=bool(settings.webhook_secret),
    )


def line(row: Notification, pipeline: str) -> Line:
    """The sentence of a notification. pipeline: address of the Dagster UI, "" for none."""
    content = row.content
    words = {
        "run-failed": _run_failed,
        "set-published": _set_published,
        "study-paused": _study_paused,
        GIVEAWAYS: _giveaways,
    }
    badge, title, sentence, links = words.get(row.kind, _other)(content, pipeline)
    return Line(row.at, badge, title, sentence, links)


_Words = tuple[str, str, str, dict[str, str]]


def _run_failed(content: dict[str, Any], pipeline: str) -> _Words:
    job, partition, steps = content.get("job") or "?", content.get("partition"), content.get("steps") or []
    if job.startswith("__"):  # Dagster's name for a run of assets that somebody picked
        job = _("of single assets")
    sentence = (
        _("The job %(job)s failed for %(partition)s.") % {"job": job, "partition": partition}
        if partition
        else _("The job %(job)s failed.") % {"job": job}
    )
    if steps:
        named = ngettext("Its step %(steps)s failed.", "Its steps %(steps)s failed.", len(steps))
        sentence += " " + named % {"steps": ", ".join(steps)}
    return "bad", _("Run failed"), sentence, run_page(pipeline, content.get("run", ""))


def _set_published(content: dict[str, Any], pipeline: str) -> _Words:
    name, images = content.get("set") or "?", content.get("images")
    sentence = (
        _("The set %(name)s was published.") % {"name": name}
        if images is None
        else ngettext(
            "The set %(name)s was published with %(images)s image.",
            "The set %(name)s was published with %(images)s images.",
            images,
        )
        % {"name": name, "images": f"{images:,}"}
    )
    links = {_("Set"): f"/sets/{quote(name, safe='')}"}
    links |= asset_page(pipeline, "synthetic_image_set", name) | run_page(pipeline, content.get("run", ""))
    return "good", _("Set published"), sentence, links


def _study_paused(content: dict[str, Any], pipeline: str) -> _Words:
    name, because = content.get("study") or "?", content.get("because", "")
    if content.get("set"):
        because = withdrawn_sentence(content["set"], content.get("version", ""))
    sentence = _("The portal paused the study %(name)s.") % {"name": name}
    links = {_("Study"): f"/admin/studies/{quote(name, safe='')}"}
    return "warn", _("Study paused"), f"{sentence} {because}".strip(), links


def _giveaways(content: dict[str, Any], pipeline: str) -> _Words:
    name = content.get("study") or "?"
    sentence = _(
        "In the study %(name)s something else than realism separates real from synthetic images. Look at it before"
        " readers do."
    ) % {"name": name}
    return "warn", _("Study"), sentence, {_("Study"): f"/admin/studies/{quote(name, safe='')}"}


def _other(content: dict[str, Any], pipeline: str) -> _Words:
    return (
        "neutral",
        _("Notice"),
        "; ".join(f"{name}: {value}" for name, value in sorted(content.items())),
        {},
    )
