"""`chestgan ...`: every step without Dagster.

In: files and names. Out: JSON on standard output (with --json, and nothing else there), everything for people on
standard error. Exit status: 0 done, 1 failed, 2 wrong use. An error is one line; --debug adds the traceback.
"""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from chestgan_core import __version__
from chestgan_core.cli import commands
from chestgan_core.cli.commands import Answer
from chestgan_core.errors import BadExperiment, ChestganError
from chestgan_core.local.log_lines import as_json_lines, print_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    asked = parser().parse_args(arguments)
    try:
        as_json_lines()
    except ChestganError as error:
        return _failed(error, asked.debug, status=2)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    for chatty in ("botocore", "boto3", "urllib3", "s3transfer", "matplotlib", "pydicom", "PIL"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        answer, told = asked.run(asked)
    except BadExperiment as error:
        return _failed(error, asked.debug, status=2)
    except ChestganError as error:
        return _failed(error, asked.debug, status=1)
    except OSError as error:
        what = ChestganError(
            error.filename or "this machine",
            (error.strerror or type(error).__name__).lower(),
            "check the path, its permissions and the space on the disk",
        )
        return _failed(what, asked.debug, status=1)
    except KeyboardInterrupt:
        print("interrupted; the next run goes on from what is complete", file=sys.stderr)
        return 1
    if asked.json:
        print(json.dumps(answer, indent=2, sort_keys=True, allow_nan=False))
    else:
        print(told, file=sys.stderr)
    return int(answer.get("exit_status", 0))


def _failed(error: ChestganError, debug: bool, status: int) -> int:
    if debug:
        logging.getLogger("chestgan").error("", exc_info=error)
    print_error(f"chestgan: {error}")
    return status


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of minutes")
    return value


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 0.5:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to below 0.5")
    return value


def parser() -> argparse.ArgumentParser:
    """The command line as a parser: each command sets `run`, a function of the parsed arguments."""
    parser = argparse.ArgumentParser(prog="chestgan", description="Synthetic chest CT image sets.")
    parser.add_argument("--version", action="version", version=f"chestgan {__version__}")
    known = parser.add_subparsers(required=True, metavar="COMMAND")
    devices = ("auto", "cpu", "cuda", "mps")

    def command(
        name: str, run: Callable[[argparse.Namespace], tuple[Answer, str]], about: str
    ) -> argparse.ArgumentParser:
        added = known.add_parser(name, help=about, description=about)
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="answer as JSON on standard output")
        added.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return added

    catalog = command(
        "catalog",
        commands.catalog,
        "Which series of a collection would be fetched, and why the others would not.",
    )
    catalog.add_argument(
        "source",
        metavar="FILE|FOLDER|idc|nbia",
        help="an index of the Imaging Data Commons (CSV, Parquet), a metadata.csv of the NBIA Data Retriever, a folder "
        "of DICOM files or (with --dataset) of pictures, or the installed index (idc) or the server (nbia) themselves",
    )
    catalog.add_argument(
        "--dataset", metavar="NAME", help="whose rules and collection; default: what fits the source"
    )

    audit = command("audit", commands.audit, "Whether DICOM headers still say who the patient is.")
    audit.add_argument("path", nargs="+", type=Path, metavar="PATH")

    normalize = command(
        "normalize", commands.normalize, "DICOM files, folders or zips to normalized slices in HU."
    )
    normalize.add_argument("path", nargs="+", type=Path, metavar="PATH")
    normalize.add_argument("--out", required=True, type=Path, metavar="FILE.safetensors")
    normalize.add_argument("--size", type=_positive, default=64, help="pixels a side (default 64)")
    normalize.add_argument("--trim", type=_share, default=0.0, help="share of slices to drop at both ends")
    normalize.add_argument(
        "--public-ids", action="store_true", help="keep PatientID (public collections); else a keyed hash"
    )

    train = command("train", commands.train, "Train the generator of an experiment on normalized slices.")
    train.add_argument("experiment", metavar="EXPERIMENT", help="a name or a YAML file")
    train.add_argument("--data", required=True, nargs="+", action="extend", type=Path, metavar="FILE")
    train.add_argument(
        "--held-out",
        nargs="+",
        action="extend",
        type=Path,
        metavar="FILE",
        help="slices of other patients: the generator nearest to them is kept, where the experiment selects",
    )
    train.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="goes on if a training lies there"
    )
    budget = train.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=_minutes)
    budget.add_argument("--images", type=_positive, help="images seen")
    train.add_argument("--device", choices=devices, default="auto")
    train.add_argument("--threads", type=_positive, help="CPU threads")

    generate = command(
        "generate", commands.generate, "Images from numbered seeds: a file of HU slices or a folder of PNG."
    )
    generate.add_argument("--model", required=True, type=Path, metavar="DIR")
    generate.add_argument("--count", required=True, type=_positive)
    generate.add_argument("--seed", type=_not_negative, default=0, help="of the first image (default 0)")
    generate.add_argument("--out", required=True, type=Path, metavar="FILE.safetensors|FOLDER")
    generate.add_argument("--device", choices=devices, default="auto")

    evaluate = command(
        "evaluate", commands.evaluate, "KID, FID, density and coverage of generated against real slices."
    )
    evaluate.add_argument("--real", required=True, nargs="+", action="extend", type=Path, metavar="FILE")
    evaluate.add_argument("--fake", required=True, type=Path, metavar="FILE")
    evaluate.add_argument(
        "--train",
        nargs="+",
        action="extend",
        type=Path,
        metavar="FILE",
        help="slices of other patients: the floor",
    )
    evaluate.add_argument(
        "--discriminator",
        type=Path,
        metavar="DIR",
        help="the training that made --fake, for the thesis' accuracies",
    )
    evaluate.add_argument("--source", metavar="TEXT", help="how the report may call the data behind --real")
    evaluate.add_argument(
        "--phantom", action="store_true", help="the slices are generated phantoms: nothing is called real"
    )
    evaluate.add_argument(
        "--window", choices=("lung", "wide"), help="default: the one that --fake says, or lung"
    )
    evaluate.add_argument("--extractor", default="efficientnet-lite0")
    evaluate.add_argument("--seed", type=_not_negative, default=0)
    evaluate.add_argument(
        "--out", type=Path, metavar="DIR", help="also write the report: JSON, HTML, figures"
    )
    evaluate.add_argument("--device", choices=devices, default="auto")

    report = command("report", commands.report, "Fetch the newest report of an experiment from the store.")
    report.add_argument("experiment", metavar="EXPERIMENT")
    report.add_argument("--out", required=True, type=Path, metavar="FOLDER")

    compare = command(
        "compare",
        commands.compare,
        "The newest reports of several experiments beside each other; exit status 1 where they cannot be compared.",
    )
    compare.add_argument("experiments", nargs="+", metavar="EXPERIMENT")
    compare.add_argument("--out", required=True, type=Path, metavar="FOLDER")

    experiments = command("experiments", commands.experiments, "List, show and validate experiments.")
    of_experiments = experiments.add_subparsers(dest="action", required=True, metavar="ACTION")
    of_experiments.add_parser("list", help="all experiments")
    of_experiments.add_parser("show", help="one of them with all its fields").add_argument(
        "name", metavar="EXPERIMENT", help="a name or a YAML file"
    )
    of_experiments.add_parser("validate", help="what is wrong, with line and field").add_argument(
        "names", nargs="*", metavar="EXPERIMENT", help="names or YAML files; default: all"
    )

    study = command(
        "study", commands.study, "Try configurations of an experiment, and keep the best as another one."
    )
    of_study = study.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = of_study.add_parser("run", help="run trials, or go on with those that are there")
    run.add_argument("experiment", metavar="EXPERIMENT", help="a name or a YAML file")
    run.add_argument("--data", required=True, nargs="+", action="extend", type=Path, metavar="FILE")
    run.add_argument(
        "--held-out",
        required=True,
        nargs="+",
        action="extend",
        type=Path,
        metavar="FILE",
        help="of other patients",
    )
    run.add_argument("--out", required=True, type=Path, metavar="DIR", help="for report and tuned experiment")
    run.add_argument(
        "--space", default="modern", metavar="SPACE", help="a name or a YAML file (default modern)"
    )
    run.add_argument("--trials", type=_positive, default=20, help="that the study is to have (default 20)")
    run.add_argument("--parallel", type=_positive, default=1, help="processes (default 1)")
    run.add_argument(
        "--source", default="loose files", metavar="TEXT", help="how the report may call the slices"
    )
    run.add_argument(
        "--phantom", action="store_true", help="they are generated phantoms: nothing is called real"
    )
    of_a_trial = run.add_mutually_exclusive_group()
    of_a_trial.add_argument(
        "--minutes", type=_minutes, help="of a trial (default: a tenth of the experiment's budget)"
    )
    of_a_trial.add_argument("--images", type=_positive, help="seen by a trial")
    run.add_argument("--looks", type=_positive, default=8, help="scores of a trial (default 8)")
    run.add_argument(
        "--pruner", choices=("median", "hyperband", "none"), default="median", help="ends bad trials early"
    )
    run.add_argument("--device", choices=devices, default="auto")
    run.add_argument("--threads", type=_positive, help="CPU threads of each process")
    show = of_study.add_parser("show", help="the trials of the newest study of an experiment")
    export = of_study.add_parser("export", help="its best configuration as an experiment")
    export.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="default: here")
    for action in (show, export):
        action.add_argument("experiment", metavar="EXPERIMENT", help="the name of the one that was tuned")
        action.add_argument(
            "--store", action="store_true", help="as committed to the store, not as it stands now"
        )

    sets = command("sets", commands.sets, "List, show, fetch and verify published synthetic sets.")
    actions = sets.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="all published sets")
    for name, about in (("show", "the manifest of one set"), ("fetch", "download one set, verified")):
        action = actions.add_parser(name, help=about)
        action.add_argument("name", metavar="SET")
        action.add_argument("--version", help="default: the newest")
        if name == "fetch":
            action.add_argument("--out", type=Path, metavar="FOLDER", help="default: the name of the set")
    actions.add_parser("verify", help="check a fetched set").add_argument("folder", type=Path)
    for action in (*actions.choices.values(), *of_experiments.choices.values(), *of_study.choices.values()):
        # After the action too, where people type it; SUPPRESS keeps the value given before it.
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS)

    command("doctor", commands.doctor, "What works here, and what to do about the rest.")
    return parser
