"""Whether synthetic CT has the densities of chests: shares of air, lung, soft tissue, bone, area of lung, grey levels.

In: (N, 1, H, W) images in [-1, 1] and their window. Out: shares by image, and histograms. What lies beyond the window
was clipped to its ends: a band that the window does not reach cannot be told.
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
    "air share": (-np.inf, -950),
    "lung share": (-950, -500),
    "soft share": (-150, 200),
    "bone share": (200, np.inf),
}
LUNG_AREA = "lung area"
# Finding the lungs takes a millisecond an image, and so many tell their area to a percent.
AREAS = 500


@dataclass(frozen=True)
class Densities:
    """levels: (N, LEVELS) pixels by grey level. shares: by name, (N,) share of the image, of HU only; the lung area of
    the first AREAS images.
    """

    levels: NDArray[np.float64]
    shares: dict[str, NDArray[np.float64]]


def densities(images: Tensor, window: Window, shares_too: bool = True) -> Densities:
    """What the images (N, 1, H, W) in [-1, 1] hold. Lung area: share of the body that is lung (lung_mask.py)."""
    measured = window.unit == "HU" and shares_too
    visible = {name: band for name, band in BANDS.items() if measured and reason(name, window) is None}
    levels = np.zeros((len(images), LEVELS))
    shares = {name: np.zeros(len(images)) for name in visible}
    if measured and reason(LUNG_AREA, window) is None:
        hu_of_first = window.from_unit(images[:AREAS, 0].detach().float().cpu().numpy())
        chests = [find_chest(image, 1) for image in hu_of_first]
        shares[LUNG_AREA] = np.array([chest.lung_fraction if chest else 0.0 for chest in chests])
    for start in range(0, len(images), BATCH):
        some = images[start : start + BATCH, 0].detach().float().cpu()
        rows = slice(start, start + len(some))
        grey = ((some.clamp(-1, 1) + 1) * ((LEVELS - 1) / 2)).round().to(torch.int64).flatten(1).numpy()
        shifted = grey + np.arange(len(some))[:, None] * LEVELS
        levels[rows] = np.bincount(shifted.ravel(), minlength=len(some) * LEVELS).reshape(-1, LEVELS)
        hu = window.from_unit(some.numpy())
        for name, (low, high) in visible.items():
            shares[name][rows] = ((hu >= low) & (hu < high)).mean(axis=(1, 2))
    return Densities(levels, shares)


def reason(name: str, window: Window) -> str | None:
    """Why a share cannot be told through a window; None where it can."""
    if window.unit != "HU":
        return "the pictures have no Hounsfield units"
    low, high = window.ends
    below, above = BANDS.get(name, (-950, -400))  # lung against the body around it
    if high <= below:
        return f"the window ends at {high:g} HU, and this begins at {below:g}"
    if low >= above:
        return f"the window begins at {low:g} HU, and this ends at {above:g}"
    return None


def clipped(name: str, window: Window) -> str:
    """What the window adds to a band; empty where nothing."""
    low, high = window.ends
    below, above = BANDS.get(name, (-np.inf, np.inf))
    if below < low < above and np.isfinite(below):
        return f"with all that is less dense: the window begins at {low:g} HU"
    if below < high < above and np.isfinite(above):
        return f"with all that is denser: the window ends at {high:g} HU"
    return ""


def largest_gap(levels: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kolmogorov-Smirnov statistic: the largest gap between two cumulative histograms, (..., LEVELS) each -> (...)."""
    gaps = [
        np.cumsum(counts, axis=-1) / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
        for counts in (levels, others)
    ]
    found: NDArray[np.float64] = np.abs(gaps[0] - gaps[1]).max(axis=-1)
    return found
