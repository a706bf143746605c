"""`chestgan audit` and `chestgan normalize`: DICOM files, checked and turned into slices."""

import argparse
from pathlib import Path

from chestgan_core.cli.parser import (
    Answer,
    Commands,
    Parser,
    add_command,
    add_out,
    positive,
    trim_fraction,
)
from chestgan_core.escaping import escaped
from chestgan_core.local.home import home
from chestgan_core.local.progress import Progress


def add_to(commands: Commands) -> None:
    """The commands and their options."""
    _add_paths(
        add_command(
            commands,
            "audit",
            audit,
            "Check DICOM files for anything that could identify the patient.",
            "The exit status is 1 if a private folder with these files would be refused.",
        )
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
        "--public-ids",
        action="store_true",
        help="keep each PatientID, for public collections (default: replace it by a keyed hash)",
    )


def _add_paths(parser: Parser) -> None:
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="DICOM files, folders or zip archives"
    )


def audit(args: argparse.Namespace) -> Answer:
    """What in DICOM files could identify the patient; exit status 1 where a private folder would be refused."""
    from chestgan_core.dicom.audit import audit_paths

    with Progress("audit", None, "files") as progress:
        report = audit_paths(args.paths, progress)
    stopping = report.blocking()
    lines = [
        f"{found:36} {count:6}  {'refused ' if found in stopping else 'reported'}  {found.meaning}"
        for found, count in report.findings.items()
    ]
    verdict = "a private folder would be refused" if stopping else "a private folder would be accepted"
    data = {
        **report.as_json(),
        "stopping": [str(found) for found in stopping],
        "exit_status": 1 if stopping else 0,
    }
    return Answer(data, "\n".join([f"{report.files} DICOM files", *lines, verdict]))


def normalize(args: argparse.Namespace) -> Answer:
    """DICOM files to a shard of normalized slices."""
    from chestgan_core.dicom.left_out import shown
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.reasons import in_words
    from chestgan_core.slices.normalization import normalize
    from chestgan_core.slices.recipe import NormalizationRecipe
    from chestgan_core.slices.shards import write_shard

    names = Pseudonyms() if args.public_ids else Pseudonyms.private(home())
    with Progress("normalize", None, "slices") as progress:
        done = normalize(args.paths, NormalizationRecipe(size=args.size, trim=args.trim), names, progress)
    write_shard(done.shard, args.out)
    report = done.report
    patients = "1 patient" if report.patients == 1 else f"{report.patients} patients"
    lines = [
        f"{report.kept} slices of {patients}; left out: {in_words(report.left_out)}",
        *(f"  {line}" for line in shown(report.causes)),
        *(f"warning: {line}" for line in shown(report.doubts)),
        f"written to {escaped(args.out)}",
    ]
    return Answer({"out": str(args.out), **report.as_json()}, "\n".join(lines))
