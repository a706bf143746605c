"""Slices of any number of patients, for benches that need the hashes of a cohort: `CohortSlices`.

In: phantoms, normalized by the real steps. Out: (64, 64) uint8 images as a lung window shows them, and their perceptual
hashes. A patient is a mixture of two phantoms, stretched and moved by up to a seventh, with noise: the hashes are as
skewed as those of a CT (black corners, one body in the middle), and neighbouring slices of a patient are near each
other. Nothing here is random that is not drawn from the number of the patient.
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.imaging.perceptual_hash import perceptual_hash
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.sources.phantom.patients import write_phantoms

SIZE = 64
PHANTOMS = 24


class CohortSlices:
    """Slices of patient 0, 1, 2, ... made of some phantoms. each: slices of a patient."""

    def __init__(self, each: int, phantoms: int = PHANTOMS) -> None:
        self.each = each
        with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as folder:
            write_phantoms(Path(folder), patients=phantoms, size=128, slices=40)
            done = normalize([Path(folder)], NormalizationRecipe(size=SIZE), Pseudonyms())
        grey = np.round((WINDOWS["lung"].to_unit(done.shard.slices) + 1) * 127.5)
        patients = np.array([row.patient for row in done.shard.rows])
        self._phantoms = [grey[patients == name] for name in np.unique(patients)]

    def of(self, patient: int) -> np.ndarray:
        """(each, 64, 64) uint8, from the base of the lungs to their apex."""
        draw = np.random.default_rng(patient)
        first, second = (self._phantoms[at] for at in draw.integers(0, len(self._phantoms), 2))
        share = draw.uniform(0, 1)
        left, top, right, bottom = draw.uniform(-9, 9, 4) + np.array([0, 0, SIZE, SIZE])
        start, end = draw.uniform(0, 0.2), draw.uniform(0.8, 1)
        images = np.empty((self.each, SIZE, SIZE), np.uint8)
        for at, place in enumerate(np.linspace(start, end, self.each)):
            mixed = share * _at(first, place) + (1 - share) * _at(second, place)
            body = Image.fromarray(mixed.astype(np.float32))
            corners = (left, top, left, bottom, right, bottom, right, top)
            moved = body.transform((SIZE, SIZE), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
            noisy = np.asarray(moved) + draw.normal(0, 1.5, (SIZE, SIZE))
            images[at] = np.clip(noisy, 0, 255)
        return images

    def hashes(self, patient: int) -> list[str]:
        """The perceptual hashes of its slices."""
        return [perceptual_hash(image) for image in self.of(patient)]


def _at(phantom: np.ndarray, place: float) -> np.ndarray:
    """The slice at a place between the first (0) and the last (1), between two slices a mixture of them."""
    at = place * (len(phantom) - 1)
    low = min(int(at), len(phantom) - 2)
    mixed: np.ndarray = (1 - (at - low)) * phantom[low] + (at - low) * phantom[low + 1]
    return mixed
