"""`chestgan audit` and `chestgan normalize`: DICOM files, checked and turned into slices."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.cli.parser import (
    Answer,
    Commands,
    Parser,
    add_command,
    add_out,
    positive,
    trim_fraction,
)
from chestgan_core.dicom.audit_report import NOT_EXAMINED
from chestgan_core.escaping import escaped
from chestgan_core.local.home import home
from chestgan_core.local.progress import Progress

# Names of chestgan_core.dicom.confidentiality.Option, whose module reads DICOM (a test compares them).
OPTIONS = (
    "descriptors",
    "dates",
    "shifted-dates",
    "patient",
    "device",
    "uids",
    "safe-private",
    "institution",
)

if TYPE_CHECKING:
    from chestgan_core.dicom.audit import AuditReport
    from chestgan_core.slices.normalization import NormalizationReport


def add_to(commands: Commands) -> None:
    """The commands and their options."""
    _add_paths(
        add_command(
            commands,
            "audit",
            audit,
            "Check DICOM files for anything that could identify the patient.",
            "Exit status: 1, a private folder with these files would be refused; 3, nothing was found that refuses "
            "it, but not every file was examined, or there was none; 0, every file was examined, and nothing refuses "
            "it.",
        )
    )
    parser = add_command(
        commands,
        "deidentify",
        deidentify,
        "Write DICOM files without what identifies the patient: the basic profile of DICOM PS3.15 annex E.",
        "Exit status: 3, files were left out; 0, all DICOM files were cleaned.",
    )
    parser.add_argument(
        "source", type=Path, metavar="IN", help="DICOM file, folder or archive; it is not changed"
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="new or empty folder, or one that this command wrote before"
    )
    parser.add_argument(
        "--options",
        nargs="+",
        action="extend",
        default=[],
        choices=OPTIONS,
        metavar="OPTION",
        help="of annex E, what is kept or cleaned instead of removed: descriptors (free text is reduced to known "
        "words), shifted-dates (by a number of days for each patient) or dates (unchanged), patient (age, sex, size), "
        "device, institution, uids, safe-private (scan parameters)",
    )
    parser = add_command(
        commands, "normalize", normalize, "Turn DICOM files into normalized slices in Hounsfield units."
    )
    _add_paths(parser)
    add_out(parser, "file to write; the table of its slices goes beside it, as .parquet", "FILE.safetensors")
    parser.add_argument(
        "--size",
        type=positive,
        default=64,
        metavar="PIXELS",
        help="rows and columns of a slice (default: 64)",
    )
    parser.add_argument(
        "--trim",
        type=trim_fraction,
        default=0.0,
        metavar="FRACTION",
        help="fraction of the slices with lung to drop at each end of a series (default: 0)",
    )
    parser.add_argument(
        "--synthetic",
        choices=("refuse", "accept"),
        default="refuse",
        metavar="refuse|accept",
        help="what is done with objects that are flagged synthetic (default: refuse)",
    )
    parser.add_argument(
        "--public-ids",
        action="store_true",
        help="keep each PatientID, for public collections (default: replace it by a keyed hash)",
    )


def _add_paths(parser: Parser) -> None:
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="DICOM files, folders or archives"
    )


def audit(args: argparse.Namespace) -> Answer:
    """What in DICOM files could identify the patient, and which files were not examined."""
    from chestgan_core.dicom.audit import audit_paths

    with Progress("audit", None, "files") as progress:
        report = audit_paths(args.paths, progress)
    stopping = report.blocking()
    data = {
        **report.as_json(),
        "stopping": [str(found) for found in stopping],
        "exit_status": report.exit_status(),
    }
    lines = [
        f"{found:36} {count:6}  {'stops' if found.identifies else 'note '}  {found.meaning}"
        for found, count in report.findings.items()
    ]
    return Answer(data, "\n".join([_examined(report), *lines, *_not_examined(report), _verdict(report)]))


def _examined(report: "AuditReport") -> str:
    files = "1 DICOM file was" if report.files == 1 else f"{report.files} DICOM files were"
    return f"{files} examined, and the pixels of {report.pictures} searched for burned-in text"


def _not_examined(report: "AuditReport") -> list[str]:
    lines = [f"  {reason:34} {count:6}  {reason.meaning}" for reason, count in report.unexamined.items()]
    return ["not examined:", *lines] if lines else []


def _verdict(report: "AuditReport") -> str:
    if report.blocking():
        return (
            "a private folder with these files would be refused; chestgan deidentify IN OUT writes cleaned files; "
            "an owner accepts what was reviewed (accepted_findings of the dataset)"
        )
    if not report.files:
        return "no DICOM file was found: nothing can be said"
    if report.unexamined:
        return "nothing that stops was found in what was examined; nothing is said of the other files"
    return "every file was examined, and nothing that stops a private folder was found"


def deidentify(args: argparse.Namespace) -> Answer:
    """Cleaned files, and how many were left out."""
    from chestgan_core.dicom.confidentiality import Option
    from chestgan_core.dicom.deidentify import deidentify
    from chestgan_core.dicom.pseudonyms import Pseudonyms

    names = Pseudonyms.private(home())
    options = [option for option in Option if option in args.options]
    with Progress("deidentify", None, "files") as progress:
        done = deidentify(args.source, args.out, options, names, progress)
    lines = [f"  {reason:20} {count:6}  {reason.meaning}" for reason, count in sorted(done.left_out.items())]
    patients = "1 patient" if done.patients == 1 else f"{done.patients} patients"
    text = [f"{done.files} files of {patients} cleaned and written to {escaped(done.out)}"]
    if lines:
        text += ["left out:", *lines]
    data = {**done.as_json(), "exit_status": NOT_EXAMINED if lines or not done.files else 0}
    return Answer(data, "\n".join(text))


def normalize(args: argparse.Namespace) -> Answer:
    """DICOM files to a shard of normalized slices."""
    from chestgan_core.dicom.left_out import shown
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.local.files import replacing
    from chestgan_core.reasons import in_words
    from chestgan_core.slices.normalization import normalize
    from chestgan_core.slices.normalizing_workers import normalizing_workers
    from chestgan_core.slices.recipe import NormalizationRecipe
    from chestgan_core.slices.shards import require_replaceable, write_shard

    require_replaceable(args.out)
    names = Pseudonyms() if args.public_ids else Pseudonyms.private(home())
    recipe = NormalizationRecipe(size=args.size, trim=args.trim, synthetic=args.synthetic)
    with Progress("normalize", None, "slices") as progress, normalizing_workers() as workers:
        done = normalize(args.paths, recipe, names, progress, workers=workers)
    write_shard(done.shard, args.out)
    report, sheet = done.report, None
    if png := done.doubtful.png():
        sheet = args.out.with_suffix(".doubtful.png")
        with replacing(sheet) as temporary:
            temporary.write_bytes(png)
    patients = "1 patient" if report.patients == 1 else f"{report.patients} patients"
    lines = [
        f"{report.kept} slices of {patients}; left out: {in_words(report.left_out)}",
        *(f"  {line}" for line in shown(report.causes)),
        *(f"warning: {line}" for line in shown(report.doubts)),
        *(_without_position(report) if report.without_position else ()),
        *(_doubtful(report, sheet) if sheet else ()),
        f"written to {escaped(args.out)}",
    ]
    named = {"out": str(args.out), "doubtful_sheet": str(sheet) if sheet else None}
    return Answer({**named, **report.as_json()}, "\n".join(lines))


def _without_position(report: "NormalizationReport") -> list[str]:
    return [
        f"{report.without_position} slices have no position: their scan does not show both ends of the lungs"
    ]


def _doubtful(report: "NormalizationReport", sheet: Path) -> list[str]:
    count = report.doubtful_kept + report.doubtful_left_out
    return [
        f"{count} slices near the ends of the lungs are doubtful ({report.doubtful_kept} used, "
        f"{report.doubtful_left_out} left out): look at {escaped(sheet)}"
    ]
