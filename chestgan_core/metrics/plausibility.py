"""Whether synthetic CT has the densities of chests: fractions of air, lung, soft tissue, bone; lung area; grey levels.

In: (N, 1, H, W) images in [-1, 1] and their window. Out: fractions per image, histograms. What lies beyond the window
was clipped to its ends: a band that the window does not reach cannot be measured.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.imaging.lung_mask import find_chest
from chestgan_core.imaging.windows import Window

LEVELS = 256
# Images at once: bounds the memory.
BATCH = 256
# HU. Between lung and soft lie fat, and pixels that are partly lung: no band.
BANDS: dict[str, tuple[float, float]] = {
    "air fraction": (-np.inf, -950),
    "lung fraction": (-950, -500),
    "soft tissue fraction": (-150, 200),
    "bone fraction": (200, np.inf),
}
LUNG_AREA = "lung area"
# Finding the lungs takes a millisecond per image; so many estimate their area to a percent.
AREAS = 500


@dataclass(frozen=True)
class Densities:
    """levels: (N, LEVELS) pixels by grey level. fractions: band -> (N,) fraction of the pixels, for HU only; the lung
    area of the first AREAS images.
    """

    levels: NDArray[np.float64]
    fractions: dict[str, NDArray[np.float64]]


def densities(images: Tensor, window: Window, with_fractions: bool = True) -> Densities:
    """Histograms of grey levels, and the fractions of air, lung, soft tissue and bone.

    Args:
        images: (N, 1, H, W) in [-1, 1].
        window: Through which they are seen; fractions need Hounsfield units.
        with_fractions: False measures the histograms alone.

    Returns:
        (N, 256) pixels per grey level; per band (N,) the fraction of the pixels, and the lung area as a fraction of the
        body (imaging/lung_mask.py).

    Examples:
        >>> from chestgan_core.imaging.windows import WINDOWS
        >>> air = torch.full((1, 1, 64, 64), -1.0)  # the lower end of the window, -1350 HU
        >>> densities(air, WINDOWS["lung"]).fractions["air fraction"].tolist()
        [1.0]
    """
    measured = window.unit == "HU" and with_fractions
    visible = {
        name: band for name, band in BANDS.items() if measured and reason_unmeasurable(name, window) is None
    }
    levels = np.zeros((len(images), LEVELS))
    fractions = {name: np.zeros(len(images)) for name in visible}
    if measured and reason_unmeasurable(LUNG_AREA, window) is None:
        hu_of_first = window.from_unit(images[:AREAS, 0].detach().float().cpu().numpy())
        chests = [find_chest(image, 1) for image in hu_of_first]
        fractions[LUNG_AREA] = np.array([chest.lung_fraction if chest else 0.0 for chest in chests])
    for start in range(0, len(images), BATCH):
        some = images[start : start + BATCH, 0].detach().float().cpu()
        rows = slice(start, start + len(some))
        grey = ((some.clamp(-1, 1) + 1) * ((LEVELS - 1) / 2)).round().to(torch.int64).flatten(1).numpy()
        shifted = grey + np.arange(len(some))[:, None] * LEVELS
        levels[rows] = np.bincount(shifted.ravel(), minlength=len(some) * LEVELS).reshape(-1, LEVELS)
        hu = window.from_unit(some.numpy())
        for name, (low, high) in visible.items():
            fractions[name][rows] = ((hu >= low) & (hu < high)).mean(axis=(1, 2))
    return Densities(levels, fractions)


def reason_unmeasurable(name: str, window: Window) -> str | None:
    """Why a fraction cannot be measured through a window; None where it can."""
    if window.unit != "HU":
        return "the pictures have no Hounsfield units"
    low, high = window.ends
    below, above = BANDS.get(name, (-950, -400))  # lung against the body around it
    if high <= below:
        return f"the window ends at {high:g} HU, and this begins at {below:g}"
    if low >= above:
        return f"the window begins at {low:g} HU, and this ends at {above:g}"
    return None


def clipping_note(name: str, window: Window) -> str:
    """What the window adds to a band by clipping; empty where nothing."""
    low, high = window.ends
    below, above = BANDS.get(name, (-np.inf, np.inf))
    if below < low < above and np.isfinite(below):
        return f"with all that is less dense: the window begins at {low:g} HU"
    if below < high < above and np.isfinite(above):
        return f"with all that is denser: the window ends at {high:g} HU"
    return ""


def ks_statistic(levels: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kolmogorov-Smirnov statistic: the largest gap between two cumulative histograms, (..., LEVELS) each -> (...)."""
    gaps = [
        np.cumsum(counts, axis=-1) / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
        for counts in (levels, others)
    ]
    found: NDArray[np.float64] = np.abs(gaps[0] - gaps[1]).max(axis=-1)
    return found
