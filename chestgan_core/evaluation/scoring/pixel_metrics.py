"""Measures on pixels: diversity and plausibility. They need no feature network.

In: the sides of a comparison and their window. Out: measurements by name, each beside the same on real images.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chestgan_core.evaluation.scoring.feature_metrics import COMPARED_SIZE, as_vectors
from chestgan_core.evaluation.scoring.metric_rows import FloorValue, Measurement
from chestgan_core.evaluation.scoring.sides import Sides
from chestgan_core.imaging.windows import Window
from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.diversity import median_interval, other_distances, pair_ms_ssim, scale_count
from chestgan_core.metrics.plausibility import (
    BANDS,
    LUNG_AREA,
    Densities,
    clipping_note,
    densities,
    ks_statistic,
    reason_unmeasurable,
)


@dataclass(frozen=True)
class PixelComparison:
    """Diversity and plausibility of the sides."""

    sides: Sides
    window: Window
    seed: int

    def diversity(self) -> dict[str, Measurement]:
        """Mean MS-SSIM of random pairs; distances between images of one side."""
        fake, real = (
            pair_ms_ssim(images, self.seed) for images in (self.sides.fake, self.sides.held_out.images)
        )
        scales = scale_count(self.sides.fake.shape[-1])
        note = f"mean over {len(fake)} random pairs, {scales} scale(s); 1 means the same image from all seeds"
        floor_note = f"{len(real)} random pairs of the held-out {self.sides.image_kind} images"
        return {
            "MS-SSIM": Measurement(
                float(fake.mean()),
                f"{note}; no interval: synthetic images have no patients",
                sd=_error(fake),
                floor=FloorValue(float(real.mean()), floor_note, 2 * len(real), _error(real)),
            ),
            **self._distances(),
        }

    def _distances(self) -> dict[str, Measurement]:
        """Mean distance of two images, and median distance to the nearest other one, beside those of real images."""
        sides = (self.sides.fake, self.sides.held_out.images)
        fake, real = (other_distances(as_vectors(images)) for images in sides)
        n, size = len(fake.mean), min(self.sides.fake.shape[-1], COMPARED_SIZE)
        kind, patients = self.sides.image_kind, resampling(self.sides.held_out.patients, self.seed)
        note = f"Euclidean, in pixels of {size} x {size} images from -1 to 1"
        held_out = f"the same of {n} held-out {kind} images of {patients.patients} patient(s)"
        over = patients.means(real.mean).std() if patients.count > 1 else None
        return {
            "pairwise distance": Measurement(
                float(fake.mean.mean()),
                f"mean over all pairs of {n} images; {note}; no interval: synthetic images have no patients",
                # Each image is in n - 1 pairs: twice the error of a mean over images (Hoeffding 1948).
                sd=2 * (_error(fake.mean) or 0.0),
                floor=FloorValue(
                    float(real.mean.mean()), held_out, n, None if over is None else 2 * float(over)
                ),
            ),
            "nearest other distance": Measurement(
                float(np.median(fake.nearest)),
                f"median over {n} images; {note}; 95 % over the images, as if the neighbours were fixed; only too small"
                " a distance is bad",
                interval=median_interval(fake.nearest),
                floor=FloorValue(
                    float(np.median(real.nearest)),
                    f"{held_out}, where the nearest is mostly another slice of the same patient",
                    n,
                ),
            ),
        }

    def plausibility(self) -> dict[str, Measurement]:
        """Grey levels against real ones; for CT also the fractions of tissues and the lung area."""
        real, fake = self._densities["real"], self._densities["synthetic"]
        found = {"KS grey levels": self._grey_levels(real, fake)}
        if self.window.unit != "HU":
            return found
        for name in (*BANDS, LUNG_AREA):
            if (why := reason_unmeasurable(name, self.window)) is not None:
                found[name] = Measurement(None, f"not measured: {why}")
                continue
            patients = resampling(self.sides.held_out.patients[: len(real.fractions[name])], self.seed)
            several = patients.count > 1
            over = f"± over {patients.patients} patients" if several else "one patient: no ±"
            low, high = BANDS.get(name, (0.0, 0.0))
            what = (
                "fraction of the body that is lung"
                if name == LUNG_AREA
                else f"fraction of all pixels, {_band(low, high)}"
            )
            parts = (what, clipping_note(name, self.window), "no interval: synthetic images have no patients")
            found[name] = Measurement(
                float(fake.fractions[name].mean()),
                "; ".join(part for part in parts if part),
                sd=_error(fake.fractions[name]),
                floor=FloorValue(
                    float(real.fractions[name].mean()),
                    f"the held-out {self.sides.image_kind} images; {over}",
                    len(real.fractions[name]),
                    float(patients.means(real.fractions[name]).std()) if several else None,
                ),
            )
        return found

    @cached_property
    def _densities(self) -> dict[str, Densities]:
        return {
            role: densities(images, self.window, with_fractions=role != "other")
            for role, images in self.sides.groups.items()
        }

    def _grey_levels(self, real: Densities, fake: Densities) -> Measurement:
        patients = resampling(self.sides.held_out.patients, self.seed)
        synthetic = fake.levels.sum(axis=0)
        drawn = ks_statistic(patients.means(real.levels), synthetic)
        floor = self.sides.floor()
        level = None
        if len(floor.first):
            first, second = real.levels[floor.first], self._densities[floor.role].levels[floor.second]
            level = float(ks_statistic(first.sum(axis=0), second.sum(axis=0)))
        over = f"95 % over {patients.patients} patients" if patients.count > 1 else "no interval: one patient"
        return Measurement(
            float(ks_statistic(real.levels.sum(axis=0), synthetic)),
            f"Kolmogorov-Smirnov: the largest difference between the cumulative histograms of all pixels; {over}",
            interval=patients.interval(drawn),
            floor=FloorValue(level, floor.note, len(floor.first)),
        )


def _error(values: NDArray[np.float64]) -> float | None:
    """Standard error of a mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _band(low: float, high: float) -> str:
    if not np.isfinite(low):
        return f"below {high:g} HU"
    return f"{low:g} HU and more" if not np.isfinite(high) else f"{low:g} to {high:g} HU"
