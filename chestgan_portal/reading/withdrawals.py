"""A set that is withdrawn while a study shows it: the study pauses by itself.

In: open studies. Out: paused ones, with the reason in the table, in the audit log and on the pages. The store is asked
at most every 30 seconds for each study, in a thread of its own: no reader waits for it, and where the store does not
answer readers go on with what this process has in memory.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from chestgan_core.errors import ChestganError
from chestgan_core.publishing.versions.status import withdrawal_of
from chestgan_core.store.store import Store
from chestgan_portal.database.notices import notify_administrators
from chestgan_portal.database.tables import LINE, Deed, Study
from chestgan_portal.pages.languages import _

EVERY = 30.0  # seconds between two looks
PORTAL = "(portal)"  # in the audit log: no person did it

log = logging.getLogger(__name__)


def withdrawn_sentence(name: str, version: str) -> str:
    """Why a study paused by itself, in the language of the page."""
    return _("The set %(name)s, version %(version)s, was withdrawn.") % {"name": name, "version": version}


class Withdrawals:
    """One per process."""

    def __init__(self, engine: Engine, open_store: Callable[[], Store], every: float = EVERY) -> None:
        self._engine, self._open_store, self._every = engine, open_store, every
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="withdrawals")
        self._lock = threading.Lock()
        self._looked: dict[int, float] = {}
        self._looking: set[int] = set()

    def look(self, *studies: Study, patience: float = 0) -> None:
        """Look whether the sets of open studies were withdrawn, unless that was done a moment ago.

        patience: seconds that the caller waits for the answers; what takes longer comes later.
        """
        started = []
        with self._lock:
            for study in studies:
                since = time.monotonic() - self._looked.get(study.id, -math.inf)
                if study.state != "open" or study.id in self._looking or since < self._every:
                    continue
                self._looked[study.id] = time.monotonic()
                self._looking.add(study.id)
                started.append(self._pool.submit(self._look, study.id, study.design))
        if patience:
            wait(started, patience)

    def _look(self, study_id: int, design: dict[str, object]) -> None:
        name, version = str(design["set_name"]), str(design["set_version"])
        try:
            if withdrawal_of(self._open_store(), name, version) is not None:
                self._pause(study_id, name, version)
        except ChestganError as error:
            log.warning("whether a study's set was withdrawn is not known: %s", error)
        except Exception:
            log.exception("looking for withdrawn sets failed")
        finally:
            with self._lock:
                self._looking.discard(study_id)

    def _pause(self, study_id: int, set_name: str, version: str) -> None:
        because = f"The set {set_name}, version {version}, was withdrawn."
        with Session(self._engine) as db:
            paused = db.execute(
                update(Study)
                .where(Study.id == study_id, Study.state == "open")
                .values(state="paused", paused_because=because[:LINE])
            )
            if paused.rowcount:  # type: ignore[attr-defined]
                told = {"set": set_name, "version": version, "because": because}
                name = db.scalar(select(Study.name).where(Study.id == study_id))
                db.add(Deed(administrator=PORTAL, deed="pause study", subject=f"{name}: {because}"[:LINE]))
                notify_administrators(db, "study-paused", {"study": name, **told})
                log.error("study %s is paused: %s", name, because)
            db.commit()
