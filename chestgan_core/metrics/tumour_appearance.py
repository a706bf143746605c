"""What a tumour looks like inside its box: contrast, size and rim, of synthetic images against real ones.

In: images with boxes, and their window. Out: three numbers per box, and how far apart their distributions are (KS),
with what real patients differ from each other as the floor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.imaging.windows import Window
from chestgan_core.layouts.layout import Edges
from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.boxes import checked_all
from chestgan_core.metrics.measure import Measure, measured

Values = NDArray[np.float64]

# In parts of the ellipse that fills the box, 1 being its border. Its core is the tumour whatever its spikes; the ring
# around it leaves out what the spikes and the blur of a pixel reach.
CORE, RING = 0.6, (1.3, 2.0)
# Bright pixels are counted up to here, so that a tumour larger than its box is seen.
REACH = 1.5
# Between these the border is crossed, in this many directions.
RIM, DIRECTIONS = (0.7, 1.3), 32
# Pixels from the border at least, so that a box of a few pixels has a ring.
MIN_PIXELS = 1.0
# Less than so much of the width of the window is no tumour: it has no size.
MIN_CONTRAST = 0.02
MEASURES = ("contrast", "size", "rim")
# Halves of the patients that are compared with each other.
SPLITS = 10


@dataclass(frozen=True)
class Appearance:
    """Of each box, in the order of the images and boxes; NaN where it cannot be measured.

    contrast: mean of the core less the median of the ring, in the window's unit (HU). NaN: no ring inside the image.
    size: diameter of a disc with the area of what is bright, over that of the box's ellipse; 1: as large as asked, 0:
    nothing bright there. rim: fall across the border of the ellipse per pixel, mean over the directions, in the unit
    per pixel. NaN: no direction stays inside the image. image: (n,) of which image each box is.
    """

    contrast: Values
    size: Values
    rim: Values
    image: NDArray[np.int64]


def appearance(images: Tensor, boxes: Sequence[Sequence[Edges]], window: Window) -> Appearance:
    """Measure every box.

    Args:
        images: (N, 1, R, R) in [-1, 1].
        boxes: Of each image, in its pixels.
        window: Through which they are seen; its width is the scale.

    Raises:
        BadInput: boxes that are none (boxes.py).

    Examples:
        >>> import torch
        >>> from chestgan_core.imaging.windows import WINDOWS
        >>> image = torch.full((1, 1, 32, 32), -0.5)
        >>> image[..., 12:20, 12:20] = 0.5  # 750 HU denser
        >>> found = appearance(image, [[(12, 12, 20, 20)]], WINDOWS["lung"])
        >>> found.contrast.tolist(), found.size.round(2).tolist()
        ([750.0], [1.13])
    """
    wanted = checked_all(boxes, len(images), images.shape[-1])
    rows: list[tuple[float, float, float]] = []
    image: list[int] = []
    for at, some in enumerate(wanted):
        if not len(some):
            continue
        values = (images[at, 0].detach().double().cpu().numpy() + 1) * (window.width / 2)
        rows += [_of_box(values, box, MIN_CONTRAST * window.width) for box in some]
        image += [at] * len(some)
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Appearance(table[:, 0], table[:, 1], table[:, 2], np.array(image, dtype=np.int64))


def _of_box(values: Values, box: Values, least: float) -> tuple[float, float, float]:
    """contrast, size, rim. values: (R, R) in the window's unit, from any origin."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    x = np.arange(values.shape[1]) + 0.5 - centre[0]
    y = np.arange(values.shape[0])[:, None] + 0.5 - centre[1]

    def inside(part: float, pixels: float = 0.0) -> NDArray[np.bool_]:
        a, b = np.maximum(half * part, half + pixels) if pixels else half * part
        within: NDArray[np.bool_] = (x / a) ** 2 + (y / b) ** 2 <= 1
        return within

    core = inside(CORE)
    if not core.any():  # smaller than a pixel: the one it lies in
        column, row = np.minimum(centre, np.array(values.shape[::-1]) - 1).astype(int)
        core[row, column] = True
    ring = inside(RING[1], 2 * MIN_PIXELS) & ~inside(RING[0], MIN_PIXELS)
    if not ring.any():
        return float("nan"), float("nan"), _rim(values, centre, half)
    around = float(np.median(values[ring]))
    contrast = float(values[core].mean()) - around
    size = 0.0
    if contrast >= least:
        # Each pixel counts by how far it is between the surroundings and the core: borders run through pixels.
        bright = ((values[inside(REACH, MIN_PIXELS)] - around) / contrast).clip(0, 1).sum()
        size = float(np.sqrt(bright / (np.pi * half.prod())))
    return contrast, size, _rim(values, centre, half)


def _rim(values: Values, centre: Values, half: Values) -> float:
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    towards = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    border = towards * half
    length = np.hypot(*border.T)[:, None]
    # At least a pixel between the two points: nearer ones would measure the interpolation.
    step = np.maximum((RIM[1] - RIM[0]) / 2 * length, MIN_PIXELS / 2)
    inner, outer = (centre + border * (1 + sign * step / length) for sign in (-1, 1))
    kept = ((outer >= 0) & (outer <= np.array(values.shape[::-1]))).all(axis=1)
    if not kept.any():
        return float("nan")
    falls = (_sampled(values, inner) - _sampled(values, outer)) / (2 * step[:, 0])
    return float(falls[kept].mean())


def _sampled(values: Values, points: Values) -> Values:
    """Linear interpolation at points (n, 2) as x, y, where pixel 0 has its middle at 0.5."""
    at = (points - 0.5).clip(0, np.array(values.shape[::-1]) - 1.0)
    low = np.minimum(at.astype(np.int64), np.array(values.shape[::-1]) - 2)
    (column, row), (right, down) = low.T, (at - low).T
    above = values[row, column] * (1 - right) + values[row, column + 1] * right
    below = values[row + 1, column] * (1 - right) + values[row + 1, column + 1] * right
    found: Values = above * (1 - down) + below * down
    return found


@dataclass(frozen=True)
class Distance:
    """Kolmogorov-Smirnov distance of one measure between synthetic and real tumours, 0 to 1.

    value: with its interval over real patients. floor: the same between two halves of the real patients, mean over
    SPLITS; None with one patient. Both are above 0 for few tumours of one kind, the floor more, since halves are fewer.
    synthetic, real: medians. boxes, real_boxes: how many could be measured.
    """

    value: Measure
    floor: float | None
    synthetic: float
    real: float
    boxes: int
    real_boxes: int


def appearance_distances(
    synthetic: Appearance, real: Appearance, real_patients: Sequence[str], *, seed: int
) -> dict[str, Distance]:
    """Name of the measure -> how far synthetic tumours are from real ones; without those that no box of a side has.

    real_patients: of each real image.
    """
    distances: dict[str, Distance] = {}
    for name in MEASURES:
        fake, values = getattr(synthetic, name), getattr(real, name)
        fake = fake[np.isfinite(fake)]
        known = np.isfinite(values)
        patients = [real_patients[at] for at in real.image[known]]
        if len(fake) and len(patients):
            distances[name] = _distance(fake, values[known], patients, seed)
    return distances


def _distance(fake: Values, values: Values, patients: Sequence[str], seed: int) -> Distance:
    drawn = resampling(patients, seed)
    names, owner = np.unique(np.array(patients), return_inverse=True)
    random = np.random.default_rng([seed, 1])
    gaps = []
    for _ in range(SPLITS if len(names) > 1 else 0):
        half = (random.permutation(len(names)) < len(names) // 2)[owner]
        gaps.append(ks_distance(values[half], values[~half], np.ones((1, int((~half).sum()))))[0])
    return Distance(
        measured(partial(ks_distance, fake, values), drawn, most=1.0),
        float(np.mean(gaps)) if gaps else None,
        float(np.median(fake)),
        float(np.median(values)),
        len(fake),
        len(values),
    )


def ks_distance(values: Values, others: Values, weights: NDArray[np.float64]) -> Values:
    """(B,): largest gap between the cumulative distributions of (n,) and of (m,), each of which counts (B, m) times.

    NaN where none of the others counts.

    Examples:
        >>> ks_distance(np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([[1.0, 1.0], [0.0, 2.0]])).tolist()
        [0.5, 1.0]
    """
    pooled = np.concatenate([values, others])
    order = np.argsort(pooled, kind="stable")
    ends = np.flatnonzero(np.diff(pooled[order], append=np.inf))
    one = np.concatenate([np.full(len(values), 1 / len(values)), np.zeros(len(others))])[order]
    counted = np.concatenate([np.zeros((len(weights), len(values))), weights], axis=1)[:, order]
    total = weights.sum(axis=1)
    cumulated = np.cumsum(counted, axis=1)[:, ends] / np.where(total > 0, total, np.nan)[:, None]
    gaps: Values = np.abs(np.cumsum(one)[ends] - cumulated).max(axis=1)
    return gaps
