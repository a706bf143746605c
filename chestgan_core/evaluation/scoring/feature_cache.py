"""Features of the real sides of a training set, kept in the store and used by each next report on the same data.

In: an extractor, a side and its images. Out: features, from `features/<dataset>/<training set>/<side>/<version>/` where
they are and prove right, else computed and committed. The version is a hash of the extractor and of the pixels.
"""

import sys

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

FILE = "features.safetensors"
SIDES = {"real": HELD_OUT, "other": TRAIN}
# Of the largest feature: what other processors and libraries change is a thousand times less than other images do.
TOLERANCE = 1e-2


class KeptFeatures:
    """The FeatureSource of a report between store and store."""

    def __init__(self, store: Store, training_set: TrainingSet) -> None:
        self._store, self._set = store, training_set

    def __call__(self, extractor: Extractor, role: str, images: Tensor, label: str) -> NDArray[np.float32]:
        """See FeatureSource. Raises DamagedObject, StoreError."""
        if role not in SIDES:
            return extractor.features(images, label=label)
        pixels = np.ascontiguousarray(images.detach().float().cpu().numpy())
        digest = sha256_of(pixels.tobytes())
        told = {"extractor": extractor.id, "images": len(images), "pixels": digest}
        version = content_version(told)
        key = keys.features_manifest(self._set.dataset.name, self._set.version, SIDES[role], version)
        if self._store.head(key) is not None:
            kept = load(self._store.read(self._store.read_manifest(key), FILE))["features"]
            if agree(kept, extractor, images):
                return kept
            print(
                f"{self._store.uri(key)}: not what the extractor gives here; computed again", file=sys.stderr
            )
            return extractor.features(images, label=label)
        features = extractor.features(images, label=label)
        try:
            self._store.commit(key, {FILE: save({"features": features})}, {"kind": "features", **told})
        except StoreError:
            # Another report may have committed its own at the same time, with other last bits.
            if self._store.head(key) is None:
                raise
        return features


def agree(kept: NDArray[np.float32], extractor: Extractor, images: Tensor) -> bool:
    """Whether kept features are those of the images: shape, numbers, and one batch of them computed again."""
    if kept.shape != (len(images), extractor.dimension) or not np.isfinite(kept).all():
        return False
    places = np.unique(np.linspace(0, len(images) - 1, BATCH).astype(int))
    again = extractor.features(images[places], label=None)
    return bool(np.abs(kept[places] - again).max() <= TOLERANCE * np.abs(again).max())
