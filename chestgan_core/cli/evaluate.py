"""`chestgan evaluate`, `report` and `compare`: how close synthetic images come to real ones."""

import argparse
from pathlib import Path

from chestgan_core.cli.experiments import explain_unknown
from chestgan_core.cli.parser import (
    Answer,
    Commands,
    add_command,
    add_device,
    add_files,
    add_out,
    add_phantom,
    add_seed,
)
from chestgan_core.escaping import escaped
from chestgan_core.local.home import home
from chestgan_core.local.output import output_folder, require_output_folder

REPORT, COMPARISON = "a report", "a comparison"
NAME = "name of an experiment"
EXTRACTOR = "efficientnet-lite0"


def add_to(commands: Commands) -> None:
    """The commands and their options."""
    _add_evaluate(commands)
    parser = add_command(
        commands, "report", report, "Download the newest metric report of an experiment from the store."
    )
    parser.add_argument("experiment", metavar="EXPERIMENT", help=NAME)
    add_out(parser, "folder for report.html, report.pdf, report.md, report.json and the figures")
    parser = add_command(
        commands,
        "compare",
        compare,
        "Compare the newest metric reports of several experiments.",
        "The exit status is 1 if they are not comparable.",
    )
    parser.add_argument("experiments", nargs="+", metavar="EXPERIMENT", help=NAME)
    add_out(parser, "folder for the comparison")


def _add_evaluate(commands: Commands) -> None:
    parser = add_command(
        commands,
        "evaluate",
        evaluate,
        "Compare synthetic with real slices: KID, FID, precision, recall, density, coverage and more.",
    )
    add_files(parser, "--real", "slices of patients that the generator was not trained on", required=True)
    parser.add_argument(
        "--fake",
        required=True,
        type=Path,
        metavar="FILE",
        help="synthetic slices, written by chestgan generate",
    )
    add_files(
        parser,
        "--reference",
        "slices of other real patients, usually those trained on: their distance to --real is the floor, and attacks"
        " try to tell them from --real (default: --real is split by patient, and nothing is attacked)",
    )
    parser.add_argument(
        "--discriminator",
        type=Path,
        metavar="FOLDER",
        help="folder of the training that made --fake: its discriminator is attacked, and has the accuracies that the "
        "thesis system reports",
    )
    parser.add_argument(
        "--source-title", metavar="TEXT", help="title of the real data, as the report prints it"
    )
    add_phantom(parser)
    parser.add_argument(
        "--window",
        choices=("lung", "wide"),
        metavar="WINDOW",
        help="lung or wide (default: the one stated in --fake, else lung)",
    )
    parser.add_argument(
        "--extractor",
        default=[EXTRACTOR],
        nargs="+",
        metavar="NAME",
        help="what computes the features that are compared: efficientnet-lite0, efficientnet-lite2, inception-v3, "
        f"radiomics; of several, the first one's numbers are the headline (default: {EXTRACTOR})",
    )
    add_seed(parser, "seed of every random draw")
    add_out(
        parser,
        "folder for the report as JSON, HTML, PDF, Markdown and figures (default: none)",
        required=False,
    )
    add_device(parser)


def evaluate(args: argparse.Namespace) -> Answer:
    """A metric report on files."""
    from chestgan_core.evaluation.evaluate_files import evaluate_files
    from chestgan_core.evaluation.pages.report_page import write_report
    from chestgan_core.imaging.windows import WINDOWS

    if args.out:
        require_output_folder(args.out, REPORT)
    report = evaluate_files(
        args.real,
        args.fake,
        WINDOWS[args.window] if args.window else None,
        extractors=tuple(dict.fromkeys(args.extractor)),
        seed=args.seed,
        reference=args.reference or (),
        source_title=args.source_title,
        image_kind="phantom" if args.phantom else "real",
        device=args.device,
        discriminator=args.discriminator,
    )
    if args.out:
        with output_folder(args.out, REPORT):
            write_report(report, args.out)
    return Answer(report.as_json(), report.as_text())


def report(args: argparse.Namespace) -> Answer:
    """The newest report of an experiment, as files."""
    from chestgan_core.evaluation.stored_report import fetch_report
    from chestgan_core.store.embedded import open_store

    require_output_folder(args.out, REPORT)
    with explain_unknown(args.experiment), open_store(home()) as store, output_folder(args.out, REPORT):
        fetched = fetch_report(store, args.experiment, args.out)
    data = {"folder": str(args.out), "uri": fetched.uri, **fetched.payload.as_json()}
    files = "report.html, report.pdf, report.md, report.json, figures"
    return Answer(data, f"{fetched.payload.as_text()}\nwritten to {escaped(args.out)}: {files}")


def compare(args: argparse.Namespace) -> Answer:
    """The newest reports of several experiments side by side."""
    from chestgan_core.evaluation.comparison.comparison import compare
    from chestgan_core.evaluation.comparison.page import as_text, write_comparison
    from chestgan_core.store.embedded import open_store

    require_output_folder(args.out, COMPARISON)
    with explain_unknown(*args.experiments), open_store(home()) as store:
        comparison = compare(store, args.experiments)
    with output_folder(args.out, COMPARISON):
        files = write_comparison(comparison, "Experiments compared", args.out)
    data = {**comparison.as_json(), "folder": str(args.out), "exit_status": 1 if comparison.reasons else 0}
    names = ", ".join(file.name for file in files)
    return Answer(data, f"{as_text(comparison)}\nwritten to {escaped(args.out)}: {names}")
