"""Measures on the pixels: diversity and plausibility. They need no feature network.

In: the sides of a comparison and their window. Out: what was found, by measure, each beside the same on real images.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chestgan_core.evaluation.scoring.metric_rows import Found, Under
from chestgan_core.evaluation.scoring.sides import Sides
from chestgan_core.imaging.windows import Window
from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.diversity import pair_likeness, scales_of
from chestgan_core.metrics.plausibility import (
    BANDS,
    LUNG_AREA,
    Densities,
    clipped,
    densities,
    largest_gap,
    reason,
)


@dataclass(frozen=True)
class PixelComparison:
    """Diversity and plausibility of the sides."""

    sides: Sides
    window: Window
    seed: int

    def diversity(self) -> dict[str, Found]:
        """Mean MS-SSIM of random pairs."""
        fake, real = (
            pair_likeness(images, self.seed) for images in (self.sides.fake, self.sides.held_out.images)
        )
        scales = scales_of(self.sides.fake.shape[-1])
        note = f"mean over {len(fake)} random pairs, {scales} scale(s); 1 is one picture from all seeds"
        floor_note = f"{len(real)} random pairs of the held-out {self.sides.image_kind} images"
        return {
            "MS-SSIM": Found(
                float(fake.mean()),
                f"{note}; no interval: its images have no patients",
                sd=_error(fake),
                floor=Under(float(real.mean()), floor_note, 2 * len(real), _error(real)),
            )
        }

    def plausibility(self) -> dict[str, Found]:
        """Grey levels against real ones; of CT also the shares of densities and the area of lung."""
        real, fake = self._densities["real"], self._densities["synthetic"]
        found = {"KS grey levels": self._grey_levels(real, fake)}
        if self.window.unit != "HU":
            return found
        for name in (*BANDS, LUNG_AREA):
            if (why := reason(name, self.window)) is not None:
                found[name] = Found(None, f"not measured: {why}")
                continue
            patients = resampling(self.sides.held_out.patients[: len(real.shares[name])], self.seed)
            several = patients.count > 1
            over = f"± over {patients.patients} patients" if several else "one patient: no ±"
            low, high = BANDS.get(name, (0.0, 0.0))
            what = (
                "share of the body that is lung"
                if name == LUNG_AREA
                else f"of all pixels, {_band(low, high)}"
            )
            parts = (what, clipped(name, self.window), "no interval: the images have no patients")
            found[name] = Found(
                float(fake.shares[name].mean()),
                "; ".join(part for part in parts if part),
                sd=_error(fake.shares[name]),
                floor=Under(
                    float(real.shares[name].mean()),
                    f"the held-out {self.sides.image_kind} images; {over}",
                    len(real.shares[name]),
                    float(patients.means(real.shares[name]).std()) if several else None,
                ),
            )
        return found

    @cached_property
    def _densities(self) -> dict[str, Densities]:
        return {
            role: densities(images, self.window, shares_too=role != "other")
            for role, images in self.sides.groups.items()
        }

    def _grey_levels(self, real: Densities, fake: Densities) -> Found:
        patients = resampling(self.sides.held_out.patients, self.seed)
        synthetic = fake.levels.sum(axis=0)
        drawn = largest_gap(patients.means(real.levels), synthetic)
        floor = self.sides.floor()
        under = None
        if len(floor.first):
            first, second = real.levels[floor.first], self._densities[floor.role].levels[floor.second]
            under = float(largest_gap(first.sum(axis=0), second.sum(axis=0)))
        over = f"95 % over {patients.patients} patients" if patients.count > 1 else "no interval: one patient"
        return Found(
            float(largest_gap(real.levels.sum(axis=0), synthetic)),
            f"Kolmogorov-Smirnov: the largest gap of the cumulative histograms of all pixels; {over}",
            interval=patients.interval(drawn),
            floor=Under(under, floor.note, len(floor.first)),
        )


def _error(values: NDArray[np.float64]) -> float | None:
    """Standard error of a mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _band(low: float, high: float) -> str:
    if not np.isfinite(low):
        return f"below {high:g} HU"
    return f"{low:g} HU and more" if not np.isfinite(high) else f"{low:g} to {high:g} HU"
