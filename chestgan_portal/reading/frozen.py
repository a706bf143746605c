"""Frozen studies in the memory of this process: what readers are shown comes from here and nowhere else.

In: a study of the database. Out: its pictures as PNG, all of one size, whichever side they are of. None of them is
fetched or made at the moment at which it is shown, so the time of an answer tells nothing.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from chestgan_core.imaging.windows import WINDOWS, Window
from chestgan_core.reading.design import Part
from chestgan_core.reading.images.frozen_study import FrozenStudy, open_study
from chestgan_core.reading.images.order import reading_order
from chestgan_core.store.store import Store
from chestgan_portal.database.tables import Study
from chestgan_portal.pages.languages import later

_KEPT = 2**30  # bytes of pictures; a study of 400 images of 512 x 512 pixels has a tenth of it
_PRESETS = ((later("Lung"), WINDOWS["lung"]), (later("Soft tissue"), Window(40, 400)))
_NARROWEST = 0.05  # share of the grey levels: a narrower window shows noise


@dataclass(frozen=True)
class Shown:
    """A study, with its pictures by item."""

    study: FrozenStudy
    pictures: tuple[bytes, ...]

    @property
    def bytes(self) -> int:
        """Of all pictures."""
        return sum(map(len, self.pictures))

    @property
    def presets(self) -> list[tuple[str, float, float]]:
        """Windows that a reader may choose by name: the ends as shares of the grey levels that the study shows."""
        low, high = self.study.window
        found = [(later("Full window"), 0.0, 1.0)]
        if self.study.window_unit == "HU":
            for title, window in _PRESETS:
                ends = [min(max((end - low) / (high - low), 0.0), 1.0) for end in window.ends]
                if ends[1] - ends[0] >= _NARROWEST and ends != [0.0, 1.0]:
                    found.append((title, round(ends[0], 4), round(ends[1], 4)))
        return found

    def order(self, seed: int) -> list[tuple[int, Part]]:
        """Of one reader: items with their parts."""
        return [(planned.item, planned.part) for planned in reading_order(self.study, seed)]


class FrozenStudies:
    """One per process; for any number of threads."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open_store = open_store
        self._lock = threading.Lock()  # of the table
        self._reading: dict[tuple[str, str], threading.Lock] = {}
        self._kept: OrderedDict[tuple[str, str], Shown] = OrderedDict()

    def get(self, study: Study) -> Shown:
        """The study, read from the store once. Raises NotInStore, DamagedObject, StoreError."""
        name = (study.name, study.version)
        if found := self._find(name):
            return found
        with self._lock:
            reading = self._reading.setdefault(name, threading.Lock())
        with reading:  # a hundred readers of a new process wait for one download
            if found := self._find(name):
                return found
            frozen = open_study(self._open_store(), *name)
            pictures = tuple(frozen.picture(item) for item in range(frozen.count))
            shown = Shown(replace(frozen, pictures=frozen.pictures[:0]), pictures)
            with self._lock:
                self._kept[name] = shown
                # The newest stays, however large: who reads it reads it again in a moment.
                while len(self._kept) > 1 and sum(one.bytes for one in self._kept.values()) > _KEPT:
                    self._kept.popitem(last=False)
            return shown

    def _find(self, name: tuple[str, str]) -> Shown | None:
        with self._lock:
            if found := self._kept.get(name):
                self._kept.move_to_end(name)
            return found
