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
from typing import Any

from chestgan_core import __version__
from chestgan_core.errors import BadExperiment, ChestganError
from chestgan_core.home import home
from chestgan_core.progress import Progress

Answer = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    asked = parser().parse_args(arguments)
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
    print(f"chestgan: {error}", file=sys.stderr)
    return status


def _normalize(asked: argparse.Namespace) -> tuple[Answer, str]:
    from chestgan_core.dicom.pseudonyms import Pseudonyms
    from chestgan_core.dicom.reasons import in_words
    from chestgan_core.slices.normalization import normalize
    from chestgan_core.slices.recipe import NormalizationRecipe
    from chestgan_core.slices.shards import write_shard

    names = Pseudonyms() if asked.public_ids else Pseudonyms.private(home())
    with Progress("normalize", None, "slices") as progress:
        done = normalize(asked.path, NormalizationRecipe(size=asked.size, trim=asked.trim), names, progress)
    write_shard(done.shard, asked.out)
    kept = f"{done.report.kept} slices of {done.report.patients} patient(s) kept"
    answer = {"out": str(asked.out), **done.report.as_json()}
    return answer, f"{kept}; left out: {in_words(done.report.left_out)}\nwritten to {asked.out}"


def _train(asked: argparse.Namespace) -> tuple[Answer, str]:
    import torch

    from chestgan_core.experiment import load_experiment
    from chestgan_core.training.devices import pick_device
    from chestgan_core.training.images import load_images
    from chestgan_core.training.loop import Budget, train

    experiment = load_experiment(asked.experiment)
    if asked.threads:
        torch.set_num_threads(asked.threads)
    if asked.minutes or asked.images:
        budget = Budget(minutes=asked.minutes, images=asked.images)
    else:
        budget = Budget(minutes=experiment.training.minutes, images=experiment.training.images)
    images = load_images(asked.data, experiment)
    outcome = train(experiment, images, asked.out, pick_device(asked.device), budget)
    return outcome.as_json(), f"{outcome.line()}\nwritten to {asked.out}"


def _generate(asked: argparse.Namespace) -> tuple[Answer, str]:
    from chestgan_core.publishing.plain import write_images
    from chestgan_core.training.checkpoints import load_generator
    from chestgan_core.training.devices import pick_device

    generator = load_generator(asked.model, pick_device(asked.device))
    written = write_images(generator, range(asked.seed, asked.seed + asked.count), asked.out)
    told = (
        f"{asked.count} images of seeds {asked.seed} to {asked.seed + asked.count - 1} written to {asked.out}"
    )
    return written, told


def _evaluate(asked: argparse.Namespace) -> tuple[Answer, str]:
    from chestgan_core.evaluation.files import evaluate_files
    from chestgan_core.evaluation.report import write_report
    from chestgan_core.slices.windows import WINDOWS

    report = evaluate_files(
        asked.real,
        asked.fake,
        WINDOWS[asked.window] if asked.window else None,
        extractor=asked.extractor,
        seed=asked.seed,
        reference=asked.train or (),
        source_title=asked.source,
        word="phantom" if asked.phantom else "real",
        device=asked.device,
    )
    if asked.out:
        write_report(report, asked.out)
    return report.as_json(), report.as_text()


def _experiments(asked: argparse.Namespace) -> tuple[Answer, str]:
    from chestgan_core.experiment import experiment_files, load_experiment

    if asked.name:
        experiment = load_experiment(asked.name)
        answer = experiment.model_dump(mode="json")
        return answer, json.dumps(answer, indent=2)
    known = [load_experiment(path) for path in experiment_files().values()]
    answer = {
        "experiments": [{"name": e.name, "dataset": e.dataset, "description": e.description} for e in known]
    }
    return answer, "\n".join(f"{e.name:16} {e.dataset:10} {e.description}" for e in known)


def _sets(asked: argparse.Namespace) -> tuple[Answer, str]:
    from chestgan_core.embedded import open_store
    from chestgan_core.publishing import fetching

    if asked.action == "verify":
        checked = fetching.verify_set(asked.folder)
        return checked.as_json(), checked.line()
    with open_store(home()) as store:
        if asked.action == "list":
            entries = fetching.list_sets(store)
            lines = [f"{e.name:20} {e.version}  {e.images} images  {e.bytes:,} bytes" for e in entries]
            return {"sets": [e.as_json() for e in entries]}, "\n".join(
                lines
            ) or "no set has been published yet"
        if asked.action == "show":
            manifest = fetching.show_set(store, asked.name, asked.version)
            return manifest, json.dumps(manifest, indent=2, sort_keys=True)
        fetched = fetching.fetch_set(store, asked.name, asked.version, asked.out or Path(asked.name))
        answer = {"folder": str(fetched.path), "version": fetched.version, "images": fetched.images}
        return answer, f"{fetched.images} images fetched and verified: {fetched.path}"


def _doctor(asked: argparse.Namespace) -> tuple[Answer, str]:
    from chestgan_core.doctor import examine

    findings = examine(home())
    answer = {
        "exit_status": 0 if all(finding.works or finding.optional for finding in findings) else 1,
        "findings": [finding.as_json() for finding in findings],
    }
    return answer, "\n".join(finding.line() for finding in findings)


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
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    devices = ("auto", "cpu", "cuda", "mps")

    def command(
        name: str, run: Callable[[argparse.Namespace], tuple[Answer, str]], about: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="answer as JSON on standard output")
        added.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return added

    normalize = command("normalize", _normalize, "DICOM files, folders or zips to normalized slices in HU.")
    normalize.add_argument("path", nargs="+", type=Path, metavar="PATH")
    normalize.add_argument("--out", required=True, type=Path, metavar="FILE.safetensors")
    normalize.add_argument("--size", type=_positive, default=64, help="pixels a side (default 64)")
    normalize.add_argument("--trim", type=_share, default=0.0, help="share of slices to drop at both ends")
    normalize.add_argument(
        "--public-ids", action="store_true", help="keep PatientID (public collections); else a keyed hash"
    )

    train = command("train", _train, "Train the generator of an experiment on normalized slices.")
    train.add_argument("experiment", metavar="EXPERIMENT", help="a name or a YAML file")
    train.add_argument("--data", required=True, nargs="+", action="extend", type=Path, metavar="FILE")
    train.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="goes on if a training lies there"
    )
    budget = train.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=_minutes)
    budget.add_argument("--images", type=_positive, help="images seen")
    train.add_argument("--device", choices=devices, default="auto")
    train.add_argument("--threads", type=_positive, help="CPU threads")

    generate = command(
        "generate", _generate, "Images from numbered seeds: a file of HU slices or a folder of PNG."
    )
    generate.add_argument("--model", required=True, type=Path, metavar="DIR")
    generate.add_argument("--count", required=True, type=_positive)
    generate.add_argument("--seed", type=_not_negative, default=0, help="of the first image (default 0)")
    generate.add_argument("--out", required=True, type=Path, metavar="FILE.safetensors|FOLDER")
    generate.add_argument("--device", choices=devices, default="auto")

    evaluate = command(
        "evaluate", _evaluate, "KID, FID, density and coverage of generated against real slices."
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

    experiments = command("experiments", _experiments, "List the experiments, or show one.")
    experiments.add_argument("name", nargs="?", metavar="EXPERIMENT")

    sets = command("sets", _sets, "List, show, fetch and verify published synthetic sets.")
    actions = sets.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="all published sets")
    for name, about in (("show", "the manifest of one set"), ("fetch", "download one set, verified")):
        action = actions.add_parser(name, help=about)
        action.add_argument("name", metavar="SET")
        action.add_argument("--version", help="default: the newest")
        if name == "fetch":
            action.add_argument("--out", type=Path, metavar="FOLDER", help="default: the name of the set")
    actions.add_parser("verify", help="check a fetched set").add_argument("folder", type=Path)
    for action in actions.choices.values():
        # After the action too, where people type it; SUPPRESS keeps the value given before it.
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS)

    command("doctor", _doctor, "What works here, and what to do about the rest.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
