"""The real images of both sides, as they were scored: those slices, in that order, at the size and window of the set.

In: the rows of a split, the shards that were made again (or pictures). Out: RealImages by side, and the series whose
slices are not those that were published.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import torch

from chestgan_core.evaluation.scoring.sides import RealImages
from chestgan_core.imaging.perceptual_hash import perceptual_hash
from chestgan_core.local.progress import Progress
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reproducing.series import MISSING, OTHER_PIXELS, OTHER_SLICES, Problem, Provider
from chestgan_core.publishing.split.row import SplitRow, lines_sha256
from chestgan_core.publishing.split.rows import numbered
from chestgan_core.publishing.split.table import unfolded
from chestgan_core.slices.shards import read_rows, read_shard
from chestgan_core.slices.splits import SIDES
from chestgan_core.store.artefacts import sha256_of
from chestgan_core.training.slice_table import as_images

if TYPE_CHECKING:
    from torch import Tensor

MAX_PICTURE_BYTES = 256 * 2**20


def real_sides(
    rows: Sequence[SplitRow], shards: Mapping[str, Path], provider: Provider, facts: SetFacts
) -> tuple[dict[str, RealImages], list[Problem]]:
    """Side -> its images, of all rows whose slices are there; and the series that are not as published.

    A side without a single image is left out. Raises BadInput: a shard in the work folder is damaged.
    """
    places = {patient: _places(path, provider) for patient, path in shards.items()}
    problems: list[Problem] = []
    sides: dict[str, RealImages] = {}
    with Progress("slices", sum(row.slices for row in rows), "slices") as progress:
        for side in SIDES:
            images, patients, classes = [], [], []
            for row in rows:
                if row.side != side or row.patient not in shards:
                    continue
                path = shards[row.patient]
                indices, problem = _chosen(row, places[row.patient])
                if problem:
                    problems.append(problem)
                if indices:
                    shard = read_shard(path, indices)
                    images.append(as_images(torch.from_numpy(shard.slices), facts.resolution, facts.window))
                    patients += [shard.rows[0].patient] * len(indices)
                    classes += [row.class_name] * len(indices)
                progress.step(row.slices)
            if images:
                sides[side] = _side(images, patients, classes, facts)
    return sides, problems


def picture_sides(
    rows: Sequence[SplitRow], folder: Path, facts: SetFacts, size: int
) -> tuple[dict[str, RealImages], list[Problem]]:
    """As `real_sides`, of a dataset of pictures: files below a folder, found by the sha256 of their bytes.

    size: pixels per side of the slices, before they are reduced to those of the set.
    """
    found = _pictures(folder, {row.series for row in rows})
    problems = [
        Problem(row.series, MISSING, f"no file with its sha256 is below {folder.name}")
        for row in rows
        if row.series not in found
    ]
    sides: dict[str, RealImages] = {}
    with Progress("pictures", len(rows), "pictures") as progress:
        for side in SIDES:
            chosen = [row for row in rows if row.side == side and row.series in found]
            images = []
            for row in chosen:
                grey, cause = _picture(found[row.series], size)
                if cause:
                    problems.append(Problem(row.series, OTHER_SLICES, cause))
                elif row.looks_sha256 and lines_sha256([perceptual_hash(grey)]) != row.looks_sha256:
                    problems.append(Problem(row.series, OTHER_PIXELS, "is decoded to other pixels"))
                slices = torch.from_numpy(grey.astype(np.int16))[None]
                images.append(as_images(slices, facts.resolution, facts.window))
                progress.step()
            if images:
                patients, classes = [row.patient for row in chosen], [row.class_name for row in chosen]
                sides[side] = _side(images, patients, classes, facts)
    return sides, problems


def _side(
    images: "list[Tensor]", patients: Sequence[str], classes: Sequence[str], facts: SetFacts
) -> RealImages:
    # As a report has it: the classes of the real images count only where the generator has classes.
    named = tuple(classes) if facts.classes and all(classes) else ()
    return RealImages(torch.cat(images), tuple(patients), named)


def _places(path: Path, provider: Provider) -> dict[tuple[str, str], list[tuple[int, str, str]]]:
    """Series and stack, as the split names them -> index in the shard, UID and perceptual hash of each slice."""
    rows = read_rows(path)
    return {
        (provider.published("series", series), provider.published("stack", stack)): [
            (index, rows[index].sop_uid, rows[index].phash) for index in indices
        ]
        for (series, stack), indices in numbered(rows, hounsfield=True).items()
    }


def _chosen(
    row: SplitRow, places: Mapping[tuple[str, str], Sequence[tuple[int, str, str]]]
) -> tuple[list[int], Problem | None]:
    """Indices of the slices of a row in its shard, and what is wrong with them."""
    there = places.get((row.series, row.stack), ())
    numbers = unfolded(row.numbers)
    chosen = [there[number] for number in numbers if number < len(there)]
    indices = [index for index, _, _ in chosen]
    if len(chosen) < len(numbers):
        cause = f"has {len(there)} normalized slices, and number {numbers[-1]} was used"
        return indices, Problem(row.series, OTHER_SLICES, cause)
    if lines_sha256(uid for _, uid, _ in chosen) != row.uids_sha256:
        return indices, Problem(row.series, OTHER_SLICES, "has slices with other UIDs")
    if row.looks_sha256 and lines_sha256(look for _, _, look in chosen) != row.looks_sha256:
        return indices, Problem(row.series, OTHER_PIXELS, "has the same slices with other pixels")
    return indices, None


def _pictures(folder: Path, wanted: set[str]) -> dict[str, Path]:
    """First 32 digits of a sha256 -> a file with it."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_PICTURE_BYTES:
            name = sha256_of(path)[:32]
            if name in wanted:
                found.setdefault(name, path)
    return found


def _picture(path: Path, size: int) -> tuple[np.ndarray, str]:
    """(size, size) uint8 as the slices of a picture are made, and why it cannot be used, or empty."""
    from chestgan_core.sources.images.contact_sheet import fitted
    from chestgan_core.sources.images.decoding import UnusableImage, decode_image

    try:
        return fitted(decode_image(path.read_bytes(), PurePosixPath(path.name).suffix).grey, size), ""
    except UnusableImage as error:
        return np.zeros((size, size), np.uint8), error.status.meaning
