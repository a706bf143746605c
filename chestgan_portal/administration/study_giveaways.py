"""What in the images of a study tells real from synthetic without being realism: measured once, when it opens.

In: the frozen study and its key, both in memory. Out: a notification of the portal's own; what administrators see of
it. Only medians of a side are kept: nobody learns of a single image what it is, and no page reads the key.
"""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chestgan_core.reading.images.frozen_study import FrozenStudy, read_key
from chestgan_core.reading.images.giveaways import giveaways
from chestgan_core.store.store import Store
from chestgan_portal.database.notices import notify_administrators
from chestgan_portal.database.tables import Notification
from chestgan_portal.pages.languages import _

KIND = "study-giveaways"


@dataclass(frozen=True)
class Shown:
    """A number that separates the sides, in the language of the page. area: under its ROC curve, 0.5 to 1."""

    what: str
    real: float
    synthetic: float
    area: float


def measure(store: Store, study: FrozenStudy) -> list[dict[str, Any]]:
    """Numbers that nearly separate the sides by themselves, the most telling first. Raises StoreError."""
    return [asdict(one) for one in giveaways(study, read_key(store, study)) if one.is_suspicious]


def tell_administrators(db: Session, study: str, found: list[dict[str, Any]]) -> None:
    """In the transaction of the opening; nothing where nothing was found."""
    if found:
        notify_administrators(db, KIND, {"study": study, "numbers": found})


def giveaways_of(db: Session, study: str) -> list[Shown]:
    """What was found when it opened."""
    rows = db.scalars(select(Notification).where(Notification.kind == KIND).order_by(Notification.at)).all()
    numbers: list[dict[str, Any]] = next(
        (row.content["numbers"] for row in reversed(rows) if row.content.get("study") == study), []
    )
    names = _names()
    return [
        Shown(names.get(one["what"], one["what"]), one["real"], one["synthetic"], one["area"])
        for one in numbers
    ]


def _names() -> dict[str, str]:
    """Names of chestgan_core.reading.images.giveaways.NUMBERS."""
    return {
        "grey of the outermost pixels": _("grey of the outermost pixels"),
        "step between the outermost pixels and the next": _("step between the outermost pixels and the next"),
        "darkest grey": _("darkest grey"),
        "brightest grey": _("brightest grey"),
        "number of grey levels": _("number of grey levels"),
        "share of black pixels": _("share of black pixels"),
        "share of white pixels": _("share of white pixels"),
        "mean grey": _("mean grey"),
    }
