"""Other windows on a published image: what it holds is shown with another contrast; what it does not hold is said.

In: the grey levels of a set, and its window. Out: grey levels in a preset's window. A set holds the values between the
ends of its own window and nothing beyond: those were clipped before the generator saw them, and no preset brings them
back.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chestgan_core.imaging.pictures import from_grey, to_grey
from chestgan_core.imaging.windows import WINDOWS, Window
from chestgan_portal.pages.languages import _, later

FULL = "full"
PRESETS = {
    FULL: later("As published"),
    "lung": later("Lung"),
    "mediastinum": later("Mediastinum"),
    "bone": later("Bone"),
}
# Centre and width in HU, as chest CT is usually read.
_WINDOWS = {"lung": WINDOWS["lung"], "mediastinum": Window(40, 400), "bone": Window(400, 1800)}


@dataclass(frozen=True)
class Preset:
    """A preset beside the window of a set. missing: a sentence on what of it the set cannot show, or empty.

    available: the two windows overlap.
    """

    name: str
    title: str
    ends: str
    missing: str
    available: bool


def presets_of(window: Window) -> list[Preset]:
    """Those that make sense for a set; without Hounsfield units only its own grey levels."""
    found = [Preset(FULL, _(PRESETS[FULL]), str(window), "", True)]
    if window.unit != "HU":
        return found
    return found + [_preset(name, shown, window) for name, shown in _WINDOWS.items()]


def _preset(name: str, shown: Window, window: Window) -> Preset:
    (low, high), (first, last) = shown.ends, window.ends
    names = {"low": f"{first:g}", "high": f"{last:g}"}
    if high <= first or low >= last:
        text = _("The images hold %(low)s to %(high)s HU: nothing of this window is in them.") % names
    elif low < first and high > last:
        text = (
            _("The images hold %(low)s to %(high)s HU only: what is denser or less dense was clipped.")
            % names
        )
    elif high > last:
        text = _("The images end at %(high)s HU: everything denser has the grey level of that value.") % names
    elif low < first:
        text = (
            _("The images begin at %(low)s HU: everything less dense has the grey level of that value.")
            % names
        )
    else:
        text = ""
    return Preset(name, _(PRESETS[name]), str(shown), text, high > first and low < last)


def through(grey: NDArray[np.uint8], window: Window, preset: str) -> NDArray[np.uint8]:
    """(H, W) grey levels of `window` as grey levels of a preset; itself for FULL.

    Each level is looked up in a table of 256: an image costs the same whatever the window.
    """
    if preset == FULL:
        return grey
    levels = np.arange(256, dtype=np.uint8)
    hounsfield = from_grey(levels) * np.float32(window.width / 2) + np.float32(window.centre)
    table = to_grey(_WINDOWS[preset].to_unit(hounsfield)[None, None])[0, 0]
    shown: NDArray[np.uint8] = table[grey]
    return shown
