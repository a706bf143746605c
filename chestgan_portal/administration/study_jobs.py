"""What takes longer than a page may: freezing a study, committing its answers, analysing them.

In: a study and a function. Out: a thread that runs it, and what the study's page says meanwhile. All of it can be done
again without harm, so a process that ends in the middle costs a click.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from chestgan_core.errors import ChestganError
from chestgan_portal.pages.languages import later

Kind = Literal["opening", "result"]
UNEXPECTED = later("It failed for a reason that nobody foresaw; it is in the log of the portal.")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """failed: why, as one line; "" while it runs."""

    kind: Kind
    failed: str = ""


class StudyJobs:
    """One at a time, per process. A study has one job at most; a failed one stays until the next is started."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="study-jobs")
        self._lock = threading.Lock()
        self._jobs: dict[int, Job] = {}

    def of(self, study_id: int) -> Job | None:
        """None: there is none, or it has succeeded."""
        with self._lock:
            return self._jobs.get(study_id)

    def start(self, study_id: int, kind: Kind, work: Callable[[], None]) -> bool:
        """False: a job of this study runs already, and will do it."""
        with self._lock:
            present = self._jobs.get(study_id)
            if present is not None and not present.failed:
                return False
            self._jobs[study_id] = Job(kind)
        self._pool.submit(self._run, study_id, kind, work)
        return True

    def _run(self, study_id: int, kind: Kind, work: Callable[[], None]) -> None:
        failed = ""
        try:
            work()
        except ChestganError as error:
            log.warning("study %d, %s: %s", study_id, kind, error)
            failed = str(error)
        except Exception:
            log.exception("study %d, %s", study_id, kind)
            failed = UNEXPECTED
        with self._lock:
            if failed:
                self._jobs[study_id] = Job(kind, failed)
            else:
                del self._jobs[study_id]
