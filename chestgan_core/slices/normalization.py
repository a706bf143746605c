"""Files to normalized slices and their report.

In: paths and a recipe. Out: one `Normalized` for all files: a shard, the counts, and pictures of what is doubtful. Each
file is decompressed and decoded once, but for a few (series_slices.py), by this process or by others beside it
(normalizing_workers.py). Memory: a few slices in each process, and the results.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from chestgan_core.dicom.file_walk import Archives
from chestgan_core.dicom.headers import SliceHeader
from chestgan_core.dicom.left_out import Cause, Causes, LeftOut, in_brackets
from chestgan_core.dicom.patient_facts import sex_of
from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.dicom.series import Series, read_series, require_series, without_stacks
from chestgan_core.errors import BadInput
from chestgan_core.local.memory import keep_freed_memory
from chestgan_core.local.progress import Progress
from chestgan_core.local.workers import Workers
from chestgan_core.reasons import in_words
from chestgan_core.slices.doubtful import DoubtfulSlices
from chestgan_core.slices.normalizing_workers import close_archives, see_there
from chestgan_core.slices.one_slice import SeenSlice, SlicesToSee, see
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.series_slices import NormalizedSlice, SliceLeftOut, normalize_series, parts_of
from chestgan_core.slices.shards import TURNS, Shard, SliceRow
from chestgan_core.sources.catalog.kernels import kernel_family
from chestgan_core.sources.catalog.manufacturers import UNKNOWN, manufacturer_family


@dataclass(frozen=True)
class NormalizationReport:
    """Counts of files: files = kept + the sum of left_out. size: pixels per side. slices_per_second: slices decoded.
    stacks: scans and reconstructions, at least one for each series. causes: why files are left out, doubts: what is
    doubtful about files that are used; grouped, with a file each.

    doubtful_kept, doubtful_left_out: how many of the kept ones and of those without lung a person should look at.
    without_position: kept ones whose place between base and apex of the lungs is not known (lung_position.py).
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
    without_position: int = 0

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
            "without_position": self.without_position,
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
    workers: Workers | None = None,
) -> Normalized:
    """Every axial CT slice under `paths` from the lungs' base to their apex: upright, cropped to the body, resized, in
    Hounsfield units.

    Args:
        paths: Files, folders and zips, in any number and order.
        recipe: Size of the result, how much lung a slice must show, and whether synthetic objects are let in.
        pseudonyms: What the rows of slices name patients, series and slices by.
        progress: Shown while slices are decoded.
        stack_problem: Why a stack of a series that has several is left out, or empty; by default all are used.
        workers: Processes that help (`normalizing_workers`); None: this one works alone. The result is the same.

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
    keep_freed_memory()
    reading = read_series(paths, synthetic=recipe.synthetic, workers=workers)
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
    with _archives_for(workers) as archives:
        seen = _seen(reading.series, recipe, archives, workers)
        for series in reading.series:
            # The slices of the series lie where they stay, but for gaps that the left out ones leave.
            space = slices[len(rows) : len(rows) + len(series.slices)]
            own = islice(seen, len(series.slices))
            for outcome in normalize_series(series, recipe, archives, own, space, progress):
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
        without_position=sum(not row.has_position for row in rows),
    )
    return Normalized(Shard(slices[: len(rows)], tuple(rows)), report, doubtful)


@contextmanager
def _archives_for(workers: Workers | None) -> Iterator[Archives]:
    """Those of this process; at the end the other processes close theirs too, before anybody removes the files."""
    try:
        with Archives() as archives:
            yield archives
    finally:
        if workers is not None:
            workers.everywhere(close_archives)


def _seen(
    all_series: Sequence[Series], recipe: NormalizationRecipe, archives: Archives, workers: Workers | None
) -> Iterator[SeenSlice]:
    """What each slice of each series shows, in their order."""
    parts = (part for series in all_series for part in parts_of(series, recipe, archives))

    def here(part: SlicesToSee) -> list[SeenSlice]:
        return see(part, archives)

    return chain.from_iterable(
        workers.in_order(parts, here, see_there) if workers is not None else map(here, parts)
    )


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
        phash=normalized.phash,
        stored_rows=header.rows,
        stored_columns=header.columns,
        upright="".join(letter for letter, done in zip(TURNS, turned, strict=True) if done),
        crop_top=crop.top,
        crop_left=crop.left,
        crop_rows=crop.rows,
        crop_columns=crop.columns,
        stack=pseudonyms.stack(series.stack),
        position=normalized.position,
        manufacturer=_manufacturer(header),
        sex=sex_of(header.series.person[1]),
        age_band=header.series.age_band,
    )


def _manufacturer(header: SliceHeader) -> str:
    family = manufacturer_family(header.series.manufacturer)
    return "" if family == UNKNOWN else family


def _kernel(header: SliceHeader, pseudonyms: Pseudonyms) -> str:
    """The kernel as it is typed in the header; of a private source its family only: people type names anywhere."""
    series = header.series
    if pseudonyms.secret is None:
        return series.kernel
    return kernel_family(series.kernel, series.description)
