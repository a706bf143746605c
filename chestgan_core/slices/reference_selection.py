"""Selection by reference slices, as in the thesis system: a slice is kept when it resembles a chosen example.

In: normalized slices, and a folder with `keep/` and `discard/`. Out: for each slice whether it is kept, and its
distance to both. It is an alternative to the anatomical selector (lung fraction); docs/selection.md compares the two.

As in the thesis system: the perceptual distance to the nearest accepted reference, PSNR to accepted and to discarded
ones, any reference may accept. Not adopted: 8-bit images scaled by each slice's own maximum, equalized brightness,
dropping a number of first and last slices. References and slices go through the same window of Hounsfield units.
Changed: a slice must be nearer to an accepted reference than to any discarded one, because a fixed distance proved to
select bodies of the references' build rather than chests.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from chestgan_core.config.dataset import ReferenceRules
from chestgan_core.errors import BadInput
from chestgan_core.imaging.lpips import BATCH, PerceptualNetwork, distances, open_perceptual_network
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.local.environment import path_from_environment
from chestgan_core.store.artefacts import content_version

KEEP, DISCARD = "keep", "discard"
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
MAX_REFERENCES = 500  # 1.4 MB of features each


@dataclass(frozen=True)
class ReferenceScores:
    """How similar slices and references are, (N,) each, in the order of the slices.

    distance, discard_distance: to the nearest reference, infinite without any. psnr, discard_psnr: to the most similar
    one in dB, -inf without any.
    """

    distance: np.ndarray
    discard_distance: np.ndarray
    psnr: np.ndarray
    discard_psnr: np.ndarray

    def kept(self, rules: ReferenceRules) -> np.ndarray:
        """Which of the slices are kept, (N,) bool."""
        kept: np.ndarray = self.distance <= self.discard_distance
        if rules.max_distance is not None:
            kept = kept & (self.distance <= rules.max_distance)
        if rules.min_psnr is not None:
            kept = kept & (self.psnr >= rules.min_psnr)
        if rules.discard_psnr is not None:
            kept = kept & (self.discard_psnr < rules.discard_psnr)
        return kept


class ReferenceSelector:
    """Compares slices with references. keep: (K, S, S), discard: (D, S, S) float32 in [-1, 1], K >= 1, D >= 0.

    id: network and references; together with the rules it decides what is kept.
    """

    def __init__(self, keep: np.ndarray, discard: np.ndarray, network: PerceptualNetwork) -> None:
        self._keep, self._discard, self._network = keep, discard, network
        self._keep_vectors, self._discard_vectors = self._vectors(keep), self._vectors(discard)
        self.id = f"{network.id}:references-{content_version(keep.tobytes(), discard.tobytes())}"

    def measure(self, slices: np.ndarray) -> ReferenceScores:
        """(N, S, S) float32 in [-1, 1]; some 16 slices/s on one core. A slice's values do not depend on the others."""
        distance, discard_distance = np.empty((2, len(slices)), np.float32)
        for start in range(0, len(slices), BATCH):
            part = slice(start, start + BATCH)
            vectors = self._vectors(slices[part])
            distance[part] = _min_distances(vectors, self._keep_vectors)
            discard_distance[part] = _min_distances(vectors, self._discard_vectors)
        return ReferenceScores(
            distance, discard_distance, best_psnr(slices, self._keep), best_psnr(slices, self._discard)
        )

    def _vectors(self, images: np.ndarray) -> np.ndarray:
        return self._network.vectors(torch.from_numpy(np.ascontiguousarray(images))[:, None])


def select_by_reference(slices: np.ndarray, rules: ReferenceRules, window: str = "lung") -> np.ndarray:
    """Which normalized slices are kept. slices: (N, S, S) int16, HU (grey levels with the window `grey`) -> (N,) bool.

    References are read once per process and size. Raises BadInput (no references), NotAvailable (no weights).
    """
    selector = open_selector(rules, slices.shape[-1], window)
    return selector.measure(WINDOWS[window].to_unit(slices)).kept(rules)


def open_selector(rules: ReferenceRules, size: int, window: str = "lung") -> ReferenceSelector:
    """The selector with the references in the folder of rules.path_variable, as they are now, at size x size pixels.

    Raises BadInput: the variable is not set, keep/ is empty, neither discarded references nor a max_distance.
    """
    folder = path_from_environment(
        rules.path_variable, "the folder with the references in keep/ and discard/"
    )
    if rules.max_distance is None and not (folder / DISCARD).is_dir():
        raise BadInput(
            folder, f"has no {DISCARD}/, and no max_distance is set", "give the selector one of the two"
        )
    files = tuple(sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()))
    return _open(folder, files, rules.network, size, window)


@lru_cache(2)
def _open(
    folder: Path, files: tuple[tuple[Path, int], ...], network: str, size: int, window: str
) -> ReferenceSelector:
    keep, discard = (read_references(folder / name, size, window) for name in (KEEP, DISCARD))
    if not len(keep):
        raise BadInput(
            folder, f"has no reference images in {KEEP}/", f"put pictures or DICOM slices into {KEEP}/"
        )
    return ReferenceSelector(keep, discard, open_perceptual_network(network))


def read_references(folder: Path, size: int, window: str = "lung") -> np.ndarray:
    """All references in a folder, (R, size, size) float32 in [-1, 1]; R is 0 without the folder.

    DICOM slices are normalized as all slices are, and go through the window. A picture is taken for a slice as it was
    displayed; one that is not square is padded with black.
    Raises BadInput: a picture that cannot be read, a folder without any reference, too many of them.
    """
    if not folder.is_dir():
        return np.empty((0, size, size), np.float32)
    files = [path for path in folder.rglob("*") if path.is_file()]  # a pipe would be waited for
    pictures = sorted(path for path in files if path.suffix.lower() in PICTURES)
    images = [_picture(path, size) for path in pictures]
    if len(files) > len(pictures):
        images += _dicom_slices(folder, size, window)
    if not images:
        raise BadInput(
            folder, "holds no picture and no DICOM slice", "put reference images there, or remove it"
        )
    if len(images) > MAX_REFERENCES:
        raise BadInput(folder, f"holds {len(images)} references", f"choose at most {MAX_REFERENCES}")
    return np.stack(images)


def best_psnr(slices: np.ndarray, references: np.ndarray) -> np.ndarray:
    """(N, S, S) and (R, S, S) in [-1, 1] -> (N,) PSNR in dB to the most similar reference; -inf without references."""
    if not len(references):
        return np.full(len(slices), -np.inf, np.float32)
    places = references[0].size
    # In float64: the difference of two sums of squares of nearly equal images has few digits left.
    pixels, others = (images.reshape(-1, places).astype(np.float64) for images in (slices, references))
    mean_squares = _min_distances(pixels, others) / places
    # The range of the values is 2; 1e-10 stands for equal images (106 dB).
    decibels: np.ndarray = 10 * np.log10(4 / np.maximum(mean_squares, 1e-10))
    return decibels


def _min_distances(vectors: np.ndarray, references: np.ndarray) -> np.ndarray:
    if not len(references) or not len(vectors):
        return np.full(len(vectors), np.inf, np.float32)
    nearest: np.ndarray = distances(vectors, references).min(1)
    return nearest


def _picture(path: Path, size: int) -> np.ndarray:
    from PIL import Image, ImageOps

    from chestgan_core.sources.images.decoding import UnusableImage, decode_image

    try:
        grey = decode_image(path.read_bytes(), path.suffix).grey
    except UnusableImage as error:
        raise BadInput(
            path, f"cannot be used: {error.status.meaning}", "replace it, or take it away"
        ) from error
    except OSError as error:
        raise BadInput(path, "cannot be read", "replace it, or take it away") from error
    square = ImageOps.pad(Image.fromarray(grey), (size, size), Image.Resampling.HAMMING)
    return np.asarray(square, np.float32) / 127.5 - 1


def _dicom_slices(folder: Path, size: int, window: str) -> Iterator[np.ndarray]:
    from chestgan_core.dicom.file_walk import Archives
    from chestgan_core.dicom.left_out import LeftOut
    from chestgan_core.dicom.series import read_series
    from chestgan_core.slices.recipe import NormalizationRecipe
    from chestgan_core.slices.series_slices import NormalizedSlice, normalize_series

    recipe = NormalizationRecipe(size=size, min_lung_fraction=0)
    with Archives() as archives:
        reading = read_series([folder])
        if made := reading.left_out[LeftOut.SYNTHETIC]:
            raise BadInput(
                folder, f"{made} of its DICOM files are synthetic, or of such a series", "take them away"
            )
        for series in reading.series:
            for outcome in normalize_series(series, recipe, archives):
                if isinstance(outcome, NormalizedSlice):
                    yield WINDOWS[window].to_unit(outcome.hu)
