"""The slices of one series: those from the lungs' base to their apex, and why the others are left out.

In: a series of headers (dicom/series.py), a recipe, and what each slice shows by itself (one_slice.py). Out: each
slice, normalized or with the reason why not.

Which slices show lung is decided for a series as a whole (lung_region.py), when its last slice has been seen. So what
may show lung is cropped and resized before it is known whether it will be kept; the rest leaves three numbers behind,
and the few slices of it that prove to lie between the lungs' ends are read a second time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chestgan_core.dicom.file_walk import Archives
from chestgan_core.dicom.headers import SliceHeader
from chestgan_core.dicom.left_out import LeftOut
from chestgan_core.dicom.series import Series
from chestgan_core.imaging.lung_mask import Chest
from chestgan_core.local.progress import Progress
from chestgan_core.slices.lung_position import find_lung_extent
from chestgan_core.slices.lung_region import find_lung_region
from chestgan_core.slices.one_slice import Crop, SeenSlice, SlicesToSee, see
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.shards import UNKNOWN_POSITION

SLICES_OF_A_PART = 4  # for each message to another process and back; the last part is waited for


@dataclass(frozen=True)
class NormalizedSlice:
    """hu: (size, size) int16 in [-1024, 3071], patient's left on the right, back below. pixel_mm: edge of a pixel.
    phash: perceptual hash. lung_fraction: lung area / body area. doubtful: whether a person should look at it
    (lung_region.py). position: in the lungs (lung_position.py).
    """

    header: SliceHeader
    hu: np.ndarray
    lung_fraction: float
    pixel_mm: float
    crop: Crop
    phash: str
    doubtful: bool = False
    position: float = UNKNOWN_POSITION


@dataclass(frozen=True)
class SliceLeftOut:
    """A slice that is left out, and why. cause, where: what is wrong with an unreadable file, and its name. doubtful:
    the slice, if a person should look at it.
    """

    header: SliceHeader
    reason: LeftOut
    cause: str = ""
    where: str = ""
    doubtful: NormalizedSlice | None = None


def normalize_series(
    series: Series,
    recipe: NormalizationRecipe,
    archives: Archives,
    seen: Iterable[SeenSlice] | None = None,
    space: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Iterator[NormalizedSlice | SliceLeftOut]:
    """Each slice of the series once, as a normalized slice or with the reason why not, from the lowest to the highest.

    They come when the whole series is read. archives: open the files of the slices. seen: what each of the slices
    shows, in their order; by default it is found here. space: (slices of the series, size, size) int16, where
    normalized slices are written.
    """
    if space is None:
        space = np.empty((len(series.slices), recipe.size, recipe.size), np.int16)
    if seen is None:
        seen = (one for part in parts_of(series, recipe, archives) for one in see(part, archives))
    chests: list[Chest | None] = []
    outcomes: dict[int, NormalizedSlice | SliceLeftOut] = {}
    for index, (header, one) in enumerate(zip(series.slices, seen, strict=True)):
        outcome = _outcome(header, one, space[index])
        if outcome is not None:
            outcomes[index] = outcome
        chests.append(one.chest)
        if progress is not None:
            progress.step()
    region = find_lung_region(chests, recipe.min_lung_fraction)
    # What an unreadable slice shows is not known: a gap, not the end of the lungs.
    read = [
        index
        for index in range(len(chests))
        if not (isinstance(known := outcomes.get(index), SliceLeftOut) and known.reason != LeftOut.NO_BODY)
    ]
    extent = find_lung_extent(
        [series.slices[index].position_mm for index in read], [chests[index] for index in read]
    )
    missing = [index for index in region.slices if index not in outcomes]
    again = _to_see([series.slices[index] for index in missing], recipe, resize_all=True)
    for index, one in zip(missing, see(again, archives), strict=True):
        outcome = _outcome(series.slices[index], one, space[index])
        if outcome is not None:
            outcomes[index] = outcome
    # The ends of the lungs are trimmed, not those of the scan: how far a scan reaches beyond the lungs is chance.
    shown = [index for index in region.slices if isinstance(outcomes[index], NormalizedSlice)]
    ends = int(len(shown) * recipe.trim)
    kept = set(shown[ends : len(shown) - ends])
    doubtful = set(region.doubtful)
    for index, header in enumerate(series.slices):
        outcome = outcomes.get(index, SliceLeftOut(header, LeftOut.NO_LUNG))
        if isinstance(outcome, NormalizedSlice):
            position = extent.position(header.position_mm) if extent else UNKNOWN_POSITION
            outcome = replace(outcome, doubtful=index in doubtful, position=position)
            if index not in kept:
                reason = LeftOut.TRIMMED if index in region.slices else LeftOut.NO_LUNG
                outcome = SliceLeftOut(header, reason, doubtful=outcome if outcome.doubtful else None)
        yield outcome


def parts_of(series: Series, recipe: NormalizationRecipe, archives: Archives) -> Iterator[SlicesToSee]:
    """The slices of the series in their order, a few at a time, to be seen by any process."""
    for first in range(0, len(series.slices), SLICES_OF_A_PART):
        headers = series.slices[first : first + SLICES_OF_A_PART]
        yield _to_see(headers, recipe, in_place=all(archives.in_place(one.location) for one in headers))


def _to_see(
    headers: Sequence[SliceHeader],
    recipe: NormalizationRecipe,
    resize_all: bool = False,
    in_place: bool = False,
) -> SlicesToSee:
    return SlicesToSee(headers, recipe.size, recipe.min_lung_fraction, resize_all, in_place)


def _outcome(
    header: SliceHeader, seen: SeenSlice, space: np.ndarray
) -> NormalizedSlice | SliceLeftOut | None:
    """None: nothing that may be lung, by itself."""
    if seen.unread is not None:
        return SliceLeftOut(header, seen.unread.reason, seen.unread.cause, seen.unread.where)
    if seen.chest is None:
        return SliceLeftOut(header, LeftOut.NO_BODY)
    if seen.resized is None:
        return None
    resized = seen.resized
    space[:] = resized.hu
    return NormalizedSlice(
        header, space, seen.chest.lung_fraction, resized.pixel_mm, resized.crop, resized.phash
    )
