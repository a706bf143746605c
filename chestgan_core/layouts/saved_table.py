"""The tensors of a table of layouts as they are saved: their names, types and shapes, and the check of a stranger's.

In: tensors of a file. Out: arrays, or the reason why they are no table.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from chestgan_core.config.conditions import MAX_TUMOURS
from chestgan_core.layouts.lung_zone import GRID, POSITIONS

if TYPE_CHECKING:
    from torch import Tensor

MAX_ENTRIES = 512
_MAX_PIXEL_MM, _MAX_LUNG_MM = 100.0, 1000.0
DTYPES = {
    "boxes": "float32",
    "position": "float32",
    "known": "uint8",
    "class": "int32",
    "weight": "float32",
    "lung": "float32",
    "pixel_mm": "float32",
    "lung_mm": "float32",
}


def checked_arrays(tensors: "Mapping[str, Tensor]", resolution: int, classes: int) -> dict[str, np.ndarray]:
    """The arrays of a table in a file that somebody else may have written.

    resolution, classes: of the generator, pixels per side and number of classes. Raises ValueError: other tensors,
    shapes or types, or numbers out of range; says which.
    """
    if tensors.keys() != DTYPES.keys():
        odd = sorted(tensors.keys() ^ DTYPES.keys())
        raise ValueError(f"layouts: {odd[0][:40]} is {'absent' if odd[0] in DTYPES else 'unknown'}")
    for name, kind in DTYPES.items():
        if str(tensors[name].dtype) != f"torch.{kind}":
            raise ValueError(f"layouts.{name} is {tensors[name].dtype}, not {kind}")
    entries = tensors["boxes"].shape[0] if tensors["boxes"].ndim else 0
    if not 1 <= entries <= MAX_ENTRIES:
        raise ValueError(f"layouts.boxes has {entries} entries, not 1 to {MAX_ENTRIES}")
    bins = tensors["lung"].shape[0] if tensors["lung"].ndim else 0
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("position", "known", "class", "weight"), (entries,))
    shapes |= {"boxes": (entries, MAX_TUMOURS, 4), "lung": (POSITIONS if bins > 1 else 1, GRID, GRID)}
    shapes |= {"pixel_mm": (1,), "lung_mm": (1,)}
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            raise ValueError(f"layouts.{name} has the shape {tuple(tensors[name].shape)}, not {shape}")
    arrays = {name: value.cpu().contiguous().numpy() for name, value in tensors.items()}
    _check(arrays, resolution, classes)
    return arrays


def _check(arrays: Mapping[str, np.ndarray], resolution: int, classes: int) -> None:
    """Refuse numbers out of range. Raises ValueError."""
    boxes, position, weight = arrays["boxes"], arrays["position"], arrays["weight"]
    present = np.isfinite(boxes).all(2)
    left, top, right, bottom = np.moveaxis(boxes[present], 1, 0)
    wrong = {
        "boxes": bool(
            (np.isinf(boxes).any() or (np.isnan(boxes).any(2) != np.isnan(boxes).all(2)).any())
            or (present[:, 1:] & ~present[:, :-1]).any()  # a gap
            or not ((left >= 0) & (left < right) & (right <= resolution)).all()
            or not ((top >= 0) & (top < bottom) & (bottom <= resolution)).all()
        ),
        "position": not bool((np.isnan(position) | ((position >= 0) & (position <= 1))).all())
        or bool(np.isfinite(position).any()) != (len(arrays["lung"]) > 1),
        "known": bool((arrays["known"] > 1).any() or (present[:, 0] & (arrays["known"] == 0)).any()),
        "class": bool(
            (arrays["class"] < (0 if classes else -1)).any() or (arrays["class"] >= (classes or 0)).any()
        ),
        "weight": not (bool((weight >= 0).all()) and math.isclose(float(weight.sum()), 1, abs_tol=1e-3)),
        "lung": not bool(((arrays["lung"] >= 0) & (arrays["lung"] <= 1)).all()),
        "pixel_mm": not 0 <= float(arrays["pixel_mm"][0]) <= _MAX_PIXEL_MM,
        "lung_mm": not 0 <= float(arrays["lung_mm"][0]) <= _MAX_LUNG_MM,
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            raise ValueError(f"layouts.{name} has values out of range")
