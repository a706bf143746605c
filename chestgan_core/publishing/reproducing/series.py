"""The series of a split, fetched from their source and normalized again: one shard per patient, kept for a resumed run.

In: the rows of a split, instructions, a source. Out: for each patient a shard in the work folder, and what could not be
had. Files of a patient are removed when its shard is there, so the disk holds those of one
patient at a time.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chestgan_core.dicom.pseudonyms import Pseudonyms
from chestgan_core.errors import BadInput, SourceRefused
from chestgan_core.local.files import replacing, require_space
from chestgan_core.publishing.split.private import published_name
from chestgan_core.publishing.split.row import SplitRow
from chestgan_core.publishing.writing.instructions import Instructions
from chestgan_core.slices.normalization import normalize
from chestgan_core.slices.recipe import NormalizationRecipe
from chestgan_core.slices.shards import read_rows, write_shard
from chestgan_core.sources.archive.packing import check_series, pack_series
from chestgan_core.sources.catalog.series_selection import stack_problem
from chestgan_core.sources.download.download_progress import DownloadProgress
from chestgan_core.sources.series_rows import SeriesRow, delivery_name, stack_key
from chestgan_core.sources.source import Source
from chestgan_core.store.artefacts import content_version

# A slice of 512 x 512 with its header, for series whose size is not known.
USUAL_FILE_BYTES = 540_000


MISSING, OTHER_SLICES, OTHER_PIXELS = "missing", "other slices", "other pixels"


@dataclass(frozen=True)
class Problem:
    """A series that cannot be scored as it was. kind: it is `missing` at the source, its normalized slices are `other
    slices` than those that were published, or they are the same with `other pixels`.
    """

    series: str
    kind: str
    cause: str


@dataclass(frozen=True)
class Provider:
    """Where series come from. listed: published name -> row; None where the rows of the split say it all."""

    source: Source
    pseudonyms: Pseudonyms
    listed: Mapping[str, SeriesRow] | None
    training_set: str

    def row(self, row: SplitRow) -> SeriesRow | None:
        """The series of a row as the source takes it; None where the source does not list it."""
        if self.listed is not None:
            return self.listed.get(stack_key(row.series, row.stack))
        if not row.location:
            return None
        return SeriesRow(
            patient=row.patient,
            key=row.series,
            images=row.files,
            revision=row.revision,
            bytes=row.bytes,
            location=row.location,
        )

    def published(self, kind: str, name: str) -> str:
        """The name of a patient, series or stack in the split."""
        private = self.pseudonyms.secret is not None
        return published_name(kind, name, self.training_set) if private and name else name


def fetch_shards(
    rows: Sequence[SplitRow], instructions: Instructions, provider: Provider, work: Path
) -> tuple[dict[str, Path], list[Problem]]:
    """Patient of the split -> its shard, and the series that are missing.

    What an earlier run has finished is not fetched again. Raises SourceUnreachable (run again: it resumes), DiskFull,
    BadInput (the recipe is of another version).
    """
    recipe = instructions.normalization
    patients: defaultdict[str, list[SplitRow]] = defaultdict(list)
    for row in rows:
        patients[row.patient].append(row)
    paths = {patient: _shard_path(work, patient, of, recipe) for patient, of in patients.items()}
    waiting = [patient for patient, path in paths.items() if not _is_complete(path)]
    _require_space([patients[patient] for patient in waiting], recipe.size, work)
    files = sum(_files(patients[patient]) for patient in waiting)
    problems: list[Problem] = []
    with DownloadProgress("fetch and normalize", files) as progress:
        for patient in waiting:
            problems += _fetch_patient(
                patients[patient], instructions, recipe, provider, work, paths[patient], progress
            )
    return {patient: path for patient, path in paths.items() if _is_complete(path)}, problems


def _fetch_patient(
    rows: Sequence[SplitRow],
    instructions: Instructions,
    recipe: NormalizationRecipe,
    provider: Provider,
    work: Path,
    path: Path,
    progress: DownloadProgress,
) -> list[Problem]:
    """Make the shard of one patient. Where a series is missing there is none: the others stay for the next run."""
    problems, zips = [], []
    wanted: dict[str, tuple[SplitRow, SeriesRow]] = {}
    for row in rows:
        found = provider.row(row)
        if found is None:
            problems.append(Problem(row.series, MISSING, "is not at the source, or nothing says where"))
        else:
            wanted.setdefault(found.key, (row, found))
    for row, found in wanted.values():
        try:
            zips.append(_packed(found, provider, work, progress))
        except (SourceRefused, BadInput) as error:
            problems.append(Problem(row.series, MISSING, error.cause))
    if problems:
        return problems
    try:
        done = normalize(zips, recipe, provider.pseudonyms, None, _stack_rules(instructions))
    except BadInput as error:
        return [Problem(row.series, OTHER_SLICES, error.cause) for row in rows]
    write_shard(done.shard, path)
    for packed in zips:
        packed.unlink()
    return []


def _packed(row: SeriesRow, provider: Provider, work: Path, progress: DownloadProgress) -> Path:
    downloads = work / "downloads"
    target, spool = (downloads / f"{delivery_name(row)}{end}" for end in (".zip", ".part"))
    if target.exists():
        progress.finished(row.images)
        return target
    spool.mkdir(parents=True, exist_ok=True)
    with replacing(target) as part:
        packed = pack_series(provider.source, row, part, spool, progress)
        check_series(packed, row, provider.pseudonyms, provider.source.remote)
    shutil.rmtree(spool, ignore_errors=True)
    return target


def _stack_rules(instructions: Instructions) -> Callable[..., str]:
    rules = instructions.series_rules
    return lambda series: stack_problem(series, rules)


def _files(rows: Sequence[SplitRow]) -> int:
    """Files of the series of some rows, each counted once."""
    return sum({(row.series, row.location): row.files for row in rows}.values())


def _shard_path(work: Path, patient: str, rows: Sequence[SplitRow], recipe: NormalizationRecipe) -> Path:
    made_of = content_version([[row.series, row.stack, row.revision] for row in rows], recipe.version)
    return work / "shards" / f"{patient}-{made_of}.safetensors"


def _is_complete(path: Path) -> bool:
    try:
        read_rows(path)
    except BadInput:
        return False
    return path.is_file()


def _require_space(waiting: Sequence[Sequence[SplitRow]], size: int, work: Path) -> None:
    """Room for the files of one patient, twice (as fetched and as a zip), and for all shards."""
    files = [
        sum({row.series: row.bytes or row.files * USUAL_FILE_BYTES for row in rows}.values())
        for rows in waiting
    ]
    # A shard has all slices of its series that show lung: of most sets twice those that are used.
    shards = sum(2 * row.slices * size * size * 2 for rows in waiting for row in rows)
    require_space([(work, 2 * max(files, default=0) + shards, "give --work on another disk")])
