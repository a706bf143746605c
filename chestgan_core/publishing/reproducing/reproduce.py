"""The numbers of a set's card computed again, from the set, its split and the source of its training data.

In: a set folder whose files are as published. Out: Reproduction: each number with a verdict, and an exit status.

The real side is fetched, normalized and split as the set says; nothing is selected or split again. The synthetic side
is the set's own images, in whose grey levels the report scored them. So on a machine like that of the report every
number is equal; other processors and libraries change last digits, and verdicts.py says what is within the interval.
"""

import builtins
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.evaluation.scoring.metric_rows import MetricRow
from chestgan_core.evaluation.version import VERSION as EVALUATION
from chestgan_core.local.files import open_regular
from chestgan_core.local.output import output_folder
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.reproducing.providers import provider_of
from chestgan_core.publishing.reproducing.scored_again import not_comparable, scored
from chestgan_core.publishing.reproducing.series import OTHER_PIXELS, Problem, fetch_shards
from chestgan_core.publishing.reproducing.verdicts import VERDICTS, Comparison, compare, headline
from chestgan_core.publishing.split.row import SplitRow
from chestgan_core.publishing.split.table import SPLIT, read_split
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.writing.instructions import Instructions, read_instructions
from chestgan_core.publishing.writing.provenance import FILE, MAX_BYTES, Metrics, read_provenance
from chestgan_core.slices.splits import HELD_OUT, TRAIN

if TYPE_CHECKING:
    from chestgan_core.evaluation.scoring.sides import RealImages

REPRODUCED, NOT_RECOMPUTED, DIFFERS = 0, 3, 4
"""Exit statuses. 1 and 2 are those of errors and of wrong use."""
REMEDY = "fetch the set again; if that does not help, ask whoever published it"


@dataclass(frozen=True)
class Reproduction:
    """What came of it. slices, patients: of the real side that were scored again, of those that the split lists.

    problems: series that are missing or changed at the source. cautions: what is not as it was when the card was
    written, and may explain a difference.
    """

    name: str
    version: str
    numbers: tuple[Comparison, ...]
    problems: tuple[Problem, ...]
    cautions: tuple[str, ...]
    slices: tuple[int, int]
    patients: tuple[int, int]

    @property
    def exit_status(self) -> int:
        """0: the headline was recomputed and no number differs; 3: it could not be; 4: a number differs."""
        if any(number.verdict == "differs" for number in self.numbers):
            return DIFFERS
        first = headline(self.numbers)
        return NOT_RECOMPUTED if first is None or first.verdict == "not recomputed" else REPRODUCED

    @property
    def counts(self) -> dict[str, int]:
        """Verdict -> how many numbers have it."""
        return {one: sum(number.verdict == one for number in self.numbers) for one in VERDICTS}

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "set": self.name,
            "version": self.version,
            "exit_status": self.exit_status,
            "counts": self.counts,
            "numbers": [number.as_json() for number in self.numbers],
            "problems": [asdict(problem) for problem in self.problems],
            "cautions": list(self.cautions),
            "slices": {"scored": self.slices[0], "published": self.slices[1]},
            "patients": {"scored": self.patients[0], "published": self.patients[1]},
        }


def reproduce(
    folder: SetFolder,
    work: Path,
    home: Path,
    source: Path | None = None,
    endpoint: str | None = None,
    device: str = "cpu",
) -> Reproduction:
    """Compute the numbers of the card of a set again.

    Args:
        folder: The set. Its files are verified first.
        work: A folder for what is fetched; run again with it, an interrupted run resumes.
        home: The local folder, with the patient key of a private dataset.
        source: Folder with the DICOM files (or pictures) of the dataset, in place of a download.
        endpoint: Of the Imaging Data Commons or of NBIA, in place of its own.
        device: Where networks compute.

    Returns:
        A verdict for every number that the card has. What cannot be recomputed says why.

    Raises:
        DamagedObject: A file of the set is not what its manifest says, or not what it should be.
        BadInput: The set does not say how its numbers came to be, or in a format of a later version; it has no numbers;
            slices would be made by another recipe; the work folder holds something else.
        SourceUnreachable: The source did not answer: run it again.
        DiskFull: The work folder has no room.
    """
    if (checked := verify_set(folder.path, images=False)).broken:
        raise DamagedObject(folder.path, checked.line().replace("\n", "; "), REMEDY)
    facts = read_provenance(_read(folder, FILE), str(folder.path / FILE))
    metrics, where = facts.provenance.metrics, str(folder.path / FILE)
    if metrics is None or not any(row.value is not None for row in metrics.rows):
        raise BadInput(where, "has no numbers: nothing was measured for this set", "choose another set")
    instructions = read_instructions(facts.provenance.reproduction, where)
    rows = read_split(folder.path / SPLIT)
    with output_folder(work, "a reproduction", of=f"{folder.facts.name} {folder.version}"):
        return _reproduce(folder, metrics, instructions, rows, work, home, source, endpoint, device)


def _reproduce(
    folder: SetFolder,
    metrics: Metrics,
    instructions: Instructions,
    rows: Sequence[SplitRow],
    work: Path,
    home: Path,
    source: Path | None,
    endpoint: str | None,
    device: str,
) -> Reproduction:
    sides: dict[str, RealImages] = {}
    problems: list[Problem] = []
    again: dict[tuple[str, str], MetricRow] = {}
    why = not_comparable(folder, metrics, rows)
    if not why:  # else nothing is fetched
        sides, problems, why = _real(folder, instructions, rows, work, home, source, endpoint)
    reasons = {"": why}
    if not why:
        why = _not_the_same(rows, problems)
        if TRAIN in sides and HELD_OUT in sides:
            again, reasons = scored(folder, metrics, instructions, sides, device)
        else:
            reasons = {"": why}
    numbers = compare(metrics.rows, again, reasons)
    if why and again:
        # Other pixels may be another rounding on this machine: a number that is equal all the same is the card's.
        only_pixels = {problem.kind for problem in problems} == {OTHER_PIXELS}
        numbers = [
            number
            if only_pixels and number.verdict == "equal"
            else replace(number, verdict="not recomputed", why=why)
            for number in numbers
        ]
    return Reproduction(
        name=folder.facts.name,
        version=folder.version,
        numbers=tuple(numbers),
        problems=tuple(problems),
        cautions=tuple(_cautions(instructions, metrics)),
        slices=(sum(len(side.images) for side in sides.values()), sum(row.slices for row in rows)),
        patients=(
            sum(len(set(side.patients)) for side in sides.values()),
            len({(row.side, row.patient) for row in rows}),
        ),
    )


def _real(
    folder: SetFolder,
    instructions: Instructions,
    rows: Sequence[SplitRow],
    work: Path,
    home: Path,
    source: Path | None,
    endpoint: str | None,
) -> "tuple[dict[str, RealImages], list[Problem], str]":
    """Side -> images, what is missing or changed, and why there is no real side at all, or empty."""
    from chestgan_core.publishing.reproducing.real_images import picture_sides, real_sides

    if not instructions.hounsfield:
        if source is None:
            return {}, [], "its pictures are not fetched by this command: give --source FOLDER, unpacked"
        instructions.require_picture_recipe()
        sides, problems = picture_sides(rows, source, folder.facts, instructions.recipe.size)
        return sides, problems, ""
    _ = instructions.normalization  # before anything is fetched
    provider = provider_of(instructions, work, home, source, endpoint)
    if isinstance(provider, str):
        return {}, [], provider
    shards, missing = fetch_shards(rows, instructions, provider, work)
    sides, changed = real_sides(rows, shards, provider, folder.facts)
    return sides, [*missing, *changed], ""


def _not_the_same(rows: Sequence[SplitRow], problems: Sequence[Problem]) -> str:
    """Why the real side is not the one of the card, or empty."""
    if not problems:
        return ""
    series = {problem.series for problem in problems}
    kinds = ", ".join(dict.fromkeys(problem.kind for problem in problems))
    return f"{len(series)} of {len({row.series for row in rows})} series of the split are not as published: {kinds}"


def _cautions(instructions: Instructions, metrics: Metrics) -> list[str]:
    found = []
    if instructions.evaluation != EVALUATION:
        found.append(
            f"the card was measured by version {instructions.evaluation} of the evaluation, this is {EVALUATION}"
        )
    if metrics.thesis and any(row.value is not None for row in metrics.thesis.rows):
        found.append("the measures of the thesis system need the discriminator, which no set holds")
    if metrics.reader_study is not None:
        found.append("what people saw in the reader study cannot be computed")
    return found


def _read(folder: SetFolder, name: str) -> builtins.bytes:
    if not any(folder.name(item) == name for item in folder.objects):
        cause = f"has no {name}: it was published by an older version"
        raise BadInput(folder.path, cause, "ask whoever published the set to publish it again")
    with open_regular(folder.path / name) as file:
        return file.read(MAX_BYTES + 1)
