"""Series to normalized slices: upright, cropped to the chest, `size` x `size`, in Hounsfield units.

In: series of headers (dicom/series.py) and a recipe. Out: slices one by one, or one `Normalized` for all files. Each
file is decompressed and decoded by a thread that reads ahead, while this thread crops and resizes. Memory: a few
slices, and the results.

Which slices show lung is decided for a series as a whole (lung_region.py), when its last slice has been seen. So what
may show lung is cropped and resized before it is known whether it will be kept; the rest leaves three numbers behind,
and the few slices of it that prove to lie between the lungs' ends are read a second time.

The crop is a box per slice, not per series. A generator of slices learns from chests that fill the frame, from apex to
base; one box per series would show small chests at the apex, and would need every slice decoded before the first can be
resized. The body's outline changes slowly from slice to slice, so the boxes do. The price is that the pixel size varies
within a series; each row records it.

The table stays where the box includes it. Its mask is only known on the coarse grid, and cropping along that would
leave steps in the skin; the box is laid around the body without the table, so little of it remains.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from chestgan_core.dicom.file_walk import Archives
from chestgan_core.dicom.headers import SliceHeader
from chestgan_core.dicom.hounsfield import MAX_HU, MIN_HU, to_hounsfield
from chestgan_core.dicom.left_out import Cause, Causes, LeftOut, in_brackets
from chestgan_core.dicom.pixels import PixelsLeftOut, stored_pixels
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.dicom.series import Series, read_series, require_series, without_stacks
from chestgan_core.errors import BadInput
from chestgan_core.imaging.lung_mask import Chest, coarse_step, find_chest
from chestgan_core.imaging.perceptual_hash import perceptual_hash
from chestgan_core.imaging.windows import WINDOWS
from chestgan_core.local.progress import Progress
from chestgan_core.reasons import in_words
from chestgan_core.slices.doubtful import DoubtfulSlices
from chestgan_core.slices.lung_region import find_lung_region, may_show_lung
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.shards import TURNS, Shard, SliceRow
from chestgan_core.sources.catalog.kernels import kernel_family

READ_AHEAD = 3  # slices; decompression releases the interpreter lock, so it runs beside the resizing
# Pillow widens the filter by the scale, so nothing aliases. Hamming is nearly as sharp as bicubic, has no
# negative weights, which make dark rims along bone that the scanner never measured, and costs half.
FILTER = Image.Resampling.HAMMING
# Each HU from the lowest to the highest as grey through the lung window: a table is five times as fast as the window.
_GREY = ((WINDOWS["lung"].to_unit(np.arange(MIN_HU, MAX_HU + 1)) + 1) * 127.5).astype(np.uint8)
MARGIN = 0.02  # of the body's larger extent, on each side, so that the skin is not at the edge


@dataclass(frozen=True)
class Crop:
    """A box in pixels of the upright image; it may reach beyond the image."""

    top: int
    left: int
    rows: int
    columns: int


@dataclass(frozen=True)
class NormalizedSlice:
    """hu: (size, size) int16 in [-1024, 3071], patient's left on the right, back below. pixel_mm: edge of a pixel.
    lung_fraction: lung area / body area. doubtful: whether a person should look at it (lung_region.py).
    """

    header: SliceHeader
    hu: np.ndarray
    lung_fraction: float
    pixel_mm: float
    crop: Crop
    doubtful: bool = False


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


@dataclass(frozen=True)
class NormalizationReport:
    """Counts of files: files = kept + the sum of left_out. size: pixels per side. slices_per_second: slices decoded.
    stacks: scans and reconstructions, at least one for each series. causes: why files are left out, doubts: what is
    doubtful about files that are used; grouped, with a file each.

    doubtful_kept, doubtful_left_out: how many of the kept ones and of those without lung a person should look at.
    """

    files: int
    series: int
    stacks: int
    patients: int
    kept: int
    left_out: dict[LeftOut, int]
    size: int
    seconds: float
    slices_per_second: float
    causes: tuple[Cause, ...]
    doubts: tuple[Cause, ...]
    doubtful_kept: int = 0
    doubtful_left_out: int = 0

    def as_json(self) -> dict[str, Any]:
        """For json.dumps."""
        return {
            "files": self.files,
            "series": self.series,
            "stacks": self.stacks,
            "patients": self.patients,
            "kept": self.kept,
            "left_out": {str(reason): self.left_out[reason] for reason in sorted(self.left_out)},
            "size": self.size,
            "seconds": round(self.seconds, 3),
            "slices_per_second": round(self.slices_per_second, 1),
            "doubtful": {"kept": self.doubtful_kept, "left_out": self.doubtful_left_out},
            "causes": [cause.as_json() for cause in self.causes],
            "warnings": [doubt.as_json() for doubt in self.doubts],
        }


@dataclass(frozen=True)
class Normalized:
    """The normalized slices of some files, the report of what was left out, and pictures of what is doubtful."""

    shard: Shard
    report: NormalizationReport
    doubtful: DoubtfulSlices


def normalize(
    paths: Sequence[Path],
    recipe: NormalizationRecipe,
    pseudonyms: Pseudonyms,
    progress: Progress | None = None,
    stack_problem: Callable[[Series], str] | None = None,
) -> Normalized:
    """Every axial CT slice under `paths` from the lungs' base to their apex: upright, cropped to the body, resized, in
    Hounsfield units.

    Args:
        paths: Files, folders and zips, in any number and order.
        recipe: Size of the result, and how much lung a slice must show.
        pseudonyms: What the rows of slices name patients, series and slices by.
        progress: Shown while slices are decoded.
        stack_problem: Why a stack of a series that has several is left out, or empty; by default all are used.

    Returns:
        A shard with (N, size, size) int16 HU in [-1024, 3071] and a row per slice, ordered by patient, series and
        position in mm; and a report in which every file is counted exactly once.

    Raises:
        BadInput: A path is missing, a folder is empty, there is no usable series, or none with a lung region; the
            message lists the reasons and counts.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from chestgan_core.sources.phantom.patients import write_phantoms
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     patients = write_phantoms(Path(folder), patients=1)
        ...     done = normalize([Path(folder)], NormalizationRecipe(size=64), Pseudonyms())
        >>> done.shard.slices.dtype, done.shard.slices.shape[1:]  # HU
        (dtype('int16'), (64, 64))
        >>> done.report.files == done.report.kept + sum(done.report.left_out.values())
        True
    """
    started = time.monotonic()
    reading = read_series(paths)
    if stack_problem is not None:
        reading = without_stacks(reading, stack_problem)
    require_series(reading)
    left_out, causes = Counter(reading.left_out), Causes()
    causes.extend(reading.causes)
    rows: list[SliceRow] = []
    doubtful = DoubtfulSlices()
    usable = sum(len(series.slices) for series in reading.series)
    # Space for all, in one piece; what stays unwritten takes no memory.
    slices = np.empty((usable, recipe.size, recipe.size), np.int16)
    if progress is not None:
        progress.total = usable
    with Archives() as archives:
        for series in reading.series:
            # The slices of the series lie where they stay, but for gaps that the left out ones leave.
            space = slices[len(rows) : len(rows) + len(series.slices)]
            for outcome in normalize_series(series, recipe, archives, space, progress):
                if isinstance(outcome, SliceLeftOut):
                    left_out[outcome.reason] += 1
                    if outcome.cause:
                        causes.add(outcome.reason, outcome.cause, outcome.where)
                    if outcome.doubtful is not None:
                        doubtful.add(outcome.doubtful.hu, outcome.header.position_mm, kept=False)
                else:
                    if outcome.doubtful:
                        doubtful.add(outcome.hu, outcome.header.position_mm, kept=True)
                    slices[len(rows)] = outcome.hu
                    rows.append(_row(series, outcome, pseudonyms))
            if progress is not None:
                progress.step(0, note=f"left out {in_words(left_out)}")
    if not rows:
        cause = (
            "no lung region was found in their series" if recipe.min_lung_fraction else "none shows a body"
        )
        raise BadInput(
            f"{reading.files} files",
            f"{cause}; left out: {in_words(left_out)}{in_brackets(causes.listed())}"
            + (f"; {doubtful.left_out} of them may show lung" if doubtful.left_out else ""),
            "give CT of a chest that shows the lungs",
        )
    seconds = time.monotonic() - started
    report = NormalizationReport(
        files=reading.files,
        series=len({(*series.patient, series.uid) for series in reading.series}),
        stacks=len(reading.series),
        patients=len({series.patient for series in reading.series}),
        kept=len(rows),
        left_out={reason: count for reason, count in left_out.items() if count},
        size=recipe.size,
        seconds=seconds,
        slices_per_second=usable / seconds,
        causes=causes.listed(),
        doubts=reading.doubts,
        doubtful_kept=doubtful.kept,
        doubtful_left_out=doubtful.left_out,
    )
    return Normalized(Shard(slices[: len(rows)], tuple(rows)), report, doubtful)


def normalize_series(
    series: Series,
    recipe: NormalizationRecipe,
    archives: Archives,
    space: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Iterator[NormalizedSlice | SliceLeftOut]:
    """Each slice of the series once, as a normalized slice or with the reason why not, from the lowest to the highest.

    They come when the whole series is read. archives: not to be used elsewhere until the iterator ends: another thread
    reads from them. space: (slices of the series, size, size) int16, where normalized slices are written.
    """
    if space is None:
        space = np.empty((len(series.slices), recipe.size, recipe.size), np.int16)
    chests: list[Chest | None] = []
    outcomes: dict[int, NormalizedSlice | SliceLeftOut] = {}
    for index, (header, stored) in enumerate(_decoded(series.slices, archives)):
        chest = None
        if isinstance(stored, SliceLeftOut):
            outcomes[index] = stored
        else:
            upright = header.geometry.upright(stored)
            chest = _chest(header, upright)
            if chest is None:
                outcomes[index] = SliceLeftOut(header, LeftOut.NO_BODY)
            elif may_show_lung(chest, recipe.min_lung_fraction):
                outcomes[index] = normalize_slice(header, upright, chest, space[index])
        chests.append(chest)
        if progress is not None:
            progress.step()
    region = find_lung_region(chests, recipe.min_lung_fraction)
    missing = [index for index in region.slices if index not in outcomes]
    again = _decoded([series.slices[index] for index in missing], archives)
    for index, (header, stored) in zip(missing, again, strict=True):
        chest = chests[index]
        if isinstance(stored, SliceLeftOut):
            outcomes[index] = stored
        elif chest is not None:
            upright = header.geometry.upright(stored)
            outcomes[index] = normalize_slice(header, upright, chest, space[index])
    # The ends of the lungs are trimmed, not those of the scan: how far a scan reaches beyond the lungs is chance.
    shown = [index for index in region.slices if isinstance(outcomes[index], NormalizedSlice)]
    ends = int(len(shown) * recipe.trim)
    kept = set(shown[ends : len(shown) - ends])
    doubtful = set(region.doubtful)
    for index, header in enumerate(series.slices):
        outcome = outcomes.get(index, SliceLeftOut(header, LeftOut.NO_LUNG))
        if isinstance(outcome, NormalizedSlice):
            outcome = replace(outcome, doubtful=index in doubtful)
            if index not in kept:
                reason = LeftOut.TRIMMED if index in region.slices else LeftOut.NO_LUNG
                outcome = SliceLeftOut(header, reason, doubtful=outcome if outcome.doubtful else None)
        yield outcome


def normalize_slice(
    header: SliceHeader, upright: np.ndarray, chest: Chest, space: np.ndarray
) -> NormalizedSlice:
    """One slice, cropped and resized. upright: (rows, columns), stored. space: (size, size) int16, for the result."""
    crop, size = _square(header, chest), len(space)
    cropped = Image.fromarray(_cropped(upright, header, crop))
    space[:] = np.rint(np.asarray(cropped.resize((size, size), FILTER)))
    pixel_mm = crop.columns * header.geometry.upright_mm[1] / size
    return NormalizedSlice(header, space, chest.lung_fraction, pixel_mm, crop)


def _chest(header: SliceHeader, upright: np.ndarray) -> Chest | None:
    step = coarse_step(*upright.shape)
    return find_chest(to_hounsfield(upright[::step, ::step], header.rescale), step)


def _row(series: Series, normalized: NormalizedSlice, pseudonyms: Pseudonyms) -> SliceRow:
    header, crop = normalized.header, normalized.crop
    geometry = header.geometry
    turned = (geometry.transpose, geometry.flip_rows, geometry.flip_columns)
    return SliceRow(
        patient=pseudonyms.patient(series.patient_id, series.study_uid),
        histology=series.histology,
        series_uid=pseudonyms.series(series.uid),
        sop_uid=pseudonyms.sop(header.sop_uid, header.content),
        position_mm=header.position_mm,
        lung_fraction=normalized.lung_fraction,
        pixel_mm=normalized.pixel_mm,
        kernel=_kernel(header, pseudonyms),
        thickness_mm=header.series.thickness_mm,
        phash=perceptual_hash(_GREY[normalized.hu - MIN_HU]),
        stored_rows=header.rows,
        stored_columns=header.columns,
        upright="".join(letter for letter, done in zip(TURNS, turned, strict=True) if done),
        crop_top=crop.top,
        crop_left=crop.left,
        crop_rows=crop.rows,
        crop_columns=crop.columns,
        stack=pseudonyms.stack(series.stack),
    )


def _kernel(header: SliceHeader, pseudonyms: Pseudonyms) -> str:
    """The kernel as it is typed in the header; of a private source its family only: people type names anywhere."""
    series = header.series
    if pseudonyms.secret is None:
        return series.kernel
    return kernel_family(series.kernel, series.description)


def _square(header: SliceHeader, chest: Chest) -> Crop:
    """A box around the body that is square in mm."""
    row_mm, column_mm = header.geometry.upright_mm
    extent_mm = max((chest.bottom - chest.top) * row_mm, (chest.right - chest.left) * column_mm)
    side_mm = extent_mm * (1 + 2 * MARGIN)
    height, width = max(1, round(side_mm / row_mm)), max(1, round(side_mm / column_mm))
    top, left = (chest.top + chest.bottom - height) // 2, (chest.left + chest.right - width) // 2
    return Crop(top, left, height, width)


def _cropped(upright: np.ndarray, header: SliceHeader, crop: Crop) -> np.ndarray:
    """The box in HU, float32; air where it lies outside the image."""
    rows, columns = upright.shape
    y, x = max(crop.top, 0), max(crop.left, 0)
    inside = upright[y : min(crop.top + crop.rows, rows), x : min(crop.left + crop.columns, columns)]
    hu = to_hounsfield(inside, header.rescale)
    if hu.shape == (crop.rows, crop.columns):
        return hu.astype(np.float32)
    box = np.full((crop.rows, crop.columns), MIN_HU, np.float32)
    y, x = y - crop.top, x - crop.left
    box[y : y + hu.shape[0], x : x + hu.shape[1]] = hu
    return box


def _decoded(
    headers: Sequence[SliceHeader], archives: Archives
) -> Iterator[tuple[SliceHeader, np.ndarray | SliceLeftOut]]:
    """The stored pixels of each slice, in order, read ahead by one thread."""
    pending: deque[tuple[SliceHeader, Future[np.ndarray | SliceLeftOut]]] = deque()
    with ThreadPoolExecutor(1) as reader:
        try:
            for header in headers:
                pending.append((header, reader.submit(_load, header, archives)))
                if len(pending) > READ_AHEAD:
                    first, stored = pending.popleft()
                    yield first, stored.result()
            while pending:
                first, stored = pending.popleft()
                yield first, stored.result()
        finally:
            reader.shutdown(wait=True, cancel_futures=True)


def _load(header: SliceHeader, archives: Archives) -> np.ndarray | SliceLeftOut:
    try:
        return stored_pixels(header, archives)
    except PixelsLeftOut as left_out:
        # The name is looked up here, as archives belong to the thread that reads.
        return SliceLeftOut(header, left_out.reason, left_out.cause, archives.name(header.location))
