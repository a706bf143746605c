"""Features of the real sides of a training set, cached in the store for later reports on the same data.

In: an extractor, a side and its images. Out: features, from `features/<dataset>/<training set>/<side>/<version>/` where
these are verified, else computed and committed. The version is a hash of the extractor and of the pixels.
"""

import logging

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save
from torch import Tensor

from chestgan_core.errors import StoreError
from chestgan_core.metrics.feature_extractors import BATCH, Extractor
from chestgan_core.slices.splits import HELD_OUT, TRAIN
from chestgan_core.slices.training_set import TrainingSet
from chestgan_core.store import keys
from chestgan_core.store.artefacts import content_version, sha256_of
from chestgan_core.store.store import Store

log = logging.getLogger(__name__)

FILE = "features.safetensors"
SIDES = {"real": HELD_OUT, "other": TRAIN}
# Relative to the largest value of the same feature, and to that of all features: other CPUs and libraries change a
# thousandth of what other images change.
TOLERANCE, OF_ALL = 1e-2, 1e-4


class CachedFeatures:
    """A FeatureSource that keeps features in the store."""

    def __init__(self, store: Store, training_set: TrainingSet) -> None:
        self._store, self._set = store, training_set

    def __call__(self, extractor: Extractor, role: str, images: Tensor, label: str) -> NDArray[np.float32]:
        """(n, d) float32 features of images (n, 1, H, W) in [-1, 1]. Raises DamagedObject, StoreError."""
        if role not in SIDES:
            return extractor.features(images, label=label)
        pixels = np.ascontiguousarray(images.detach().float().cpu().numpy())
        digest = sha256_of(pixels.tobytes())
        inputs = {"extractor": extractor.id, "images": len(images), "pixels": digest}
        version = content_version(inputs)
        key = keys.features_manifest(self._set.dataset.name, self._set.version, SIDES[role], version)
        if self._store.head(key) is not None:
            cached = load(self._store.read(self._store.read_manifest(key), FILE))["features"]
            if agree(cached, extractor, images):
                return cached
            log.info(f"{self._store.uri(key)}: not what the extractor computes here; computed again")
            return extractor.features(images, label=label)
        features = extractor.features(images, label=label)
        try:
            self._store.commit(key, {FILE: save({"features": features})}, {"kind": "features", **inputs})
        except StoreError:
            # Another report may have committed its own at the same time, with different last bits.
            if self._store.head(key) is None:
                raise
        return features


def agree(cached: NDArray[np.float32], extractor: Extractor, images: Tensor) -> bool:
    """Whether cached features are those of the images: shape, finite numbers, and one batch computed again."""
    if cached.shape != (len(images), extractor.dimension) or not np.isfinite(cached).all():
        return False
    places = np.unique(np.linspace(0, len(images) - 1, BATCH).astype(int))
    again = extractor.features(images[places], label=None)
    largest = np.abs(cached).max(axis=0)  # radiomic features have units: the largest would decide alone
    allowed = np.maximum(TOLERANCE * largest, OF_ALL * largest.max())
    return bool((np.abs(cached[places] - again) <= allowed).all())
