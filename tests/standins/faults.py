"""The faults of a stand-in server, by series.

In: series UID -> the faults of its next answers, in order. Out: the fault of one answer. Each fault of a series is used
for one answer, unless it is in `always`; after the last one the server behaves.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum


class Fault(StrEnum):
    BUSY = "429 with Retry-After"
    FAILED = "503"
    RESET = "the connection is reset in the middle of the body"
    TRUNCATED = "the body ends early"
    WRONG_MD5 = "other bytes than those of the checksum"
    BROKEN_ARCHIVE = "a zip that is not one (NBIA); for a bucket the same as WRONG_MD5"
    UNFINISHED = (
        "a readable zip without its last files and its MD5 list, as NBIA sends it when it fails midway"
    )
    GONE = "404"
    FORBIDDEN = "403"
    STALLED = "half of the body, then nothing until the server is stopped"
    SLOW = "the body in small pieces"


# Those after which a retry may bring the right bytes.
TEMPORARY = (Fault.BUSY, Fault.FAILED, Fault.RESET, Fault.TRUNCATED, Fault.SLOW)


class Faults:
    """once, always: by series UID; for a bucket also by `listing_of(uid)`, and by `<uid> <key>` for one object.

    retry_after: seconds that a 429 demands. seen: how often each fault was used.
    """

    def __init__(
        self,
        once: Mapping[str, Iterable[Fault]] | None = None,
        always: Mapping[str, Fault] | None = None,
        retry_after: float = 0.05,
    ) -> None:
        self._once = {uid: list(faults) for uid, faults in (once or {}).items()}
        self._always = dict(always or {})
        self.retry_after = retry_after
        self.seen: Counter[Fault] = Counter()
        self._lock = threading.Lock()

    @classmethod
    def for_each(
        cls, series_uids: Iterable[str], kinds: Iterable[Fault] = TEMPORARY, seed: int = 0
    ) -> "Faults":
        """One or two temporary faults for every series, drawn from `kinds`."""
        draw = random.Random(seed)
        kinds = list(kinds)
        return cls({uid: draw.choices(kinds, k=draw.randint(1, 2)) for uid in series_uids})

    def next(self, uid: str, key: str = "") -> Fault | None:
        """The fault of the next answer about a series."""
        with self._lock:
            fault = self._always.get(f"{uid} {key}") or self._always.get(uid)
            if fault is None and self._once.get(uid):
                fault = self._once[uid].pop(0)
            if fault is not None:
                self.seen[fault] += 1
            return fault

    def always(self, uid: str, fault: Fault) -> None:
        """From now on every answer about this series has this fault."""
        with self._lock:
            self._always[uid] = fault

    def heal(self) -> None:
        """From now on everything works."""
        with self._lock:
            self._once, self._always = {}, {}
