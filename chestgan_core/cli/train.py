"""`chestgan train` and `history`: the generator of an experiment, from slices; and how its training went, as CSV."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.cli.parser import (
    Answer,
    Commands,
    add_budget,
    add_command,
    add_device,
    add_experiment,
    add_files,
    add_marks,
    add_out,
    add_threads,
)
from chestgan_core.escaping import escaped
from chestgan_core.local.output import output_folder, require_output_folder

if TYPE_CHECKING:
    from chestgan_core.training.loop import TrainingCallbacks

TRAINING, EVENTS = "a training", "event files of a training"


def add_to(commands: Commands) -> None:
    """The command and its options."""
    parser = add_command(
        commands, "train", train, "Train the generator of an experiment on normalized slices."
    )
    add_experiment(parser)
    add_files(parser, "--data", "slices to train on, written by chestgan normalize", required=True)
    add_files(
        parser,
        "--held-out",
        "slices of other patients; if the experiment has a validation section, the generator that scores best on them "
        "is kept",
    )
    add_marks(parser)
    add_out(parser, "folder for the trained networks; an interrupted training in it is resumed")
    add_budget(parser, "stop", "as the experiment says", ", earlier attempts included")
    parser.add_argument(
        "--tensorboard",
        type=Path,
        metavar="FOLDER",
        help="also write losses, KID, speed and samples as event files into this folder, for tensorboard --logdir; one "
        "folder for each training",
    )
    add_device(parser)
    add_threads(parser, "CPU threads (default: all cores)")

    parser = add_command(
        commands,
        "history",
        history,
        "Write the losses and validations of a training as CSV.",
        "Validations, where there are any, go beside the losses, as FILE-validation.csv.",
    )
    parser.add_argument(
        "training",
        metavar="TRAINING",
        help="folder of a training, or the s3:// address of a run in the store",
    )
    add_out(parser, "CSV file of the losses", "FILE.csv")


def train(args: argparse.Namespace) -> Answer:
    """Train the generator of an experiment on shards."""
    from chestgan_core.config.experiment import load_experiment

    experiment = load_experiment(args.experiment)  # before torch, which takes seconds: a name may be mistyped
    import torch

    from chestgan_core.slices.marks import marks_from_file
    from chestgan_core.training.data import load_training_slices
    from chestgan_core.training.devices import pick_device
    from chestgan_core.training.distributed import World
    from chestgan_core.training.loop import train
    from chestgan_core.training.schedule import Budget
    from chestgan_core.training.validation import open_validator

    if args.threads:
        torch.set_num_threads(args.threads)
    require_output_folder(args.out, TRAINING)  # before the slices are read
    if args.tensorboard:
        from chestgan_core.training.event_files import require_tensorboard

        require_tensorboard()
        require_output_folder(args.tensorboard, EVENTS, experiment.name)
    device = pick_device(args.device)
    marks = marks_from_file(args.marks) if args.marks else None
    slices = load_training_slices(args.data, experiment, marks, device)
    if args.max_minutes or args.max_images:
        budget = Budget(minutes=args.max_minutes, images=args.max_images)
    else:
        budget = Budget.from_plan(experiment.training, len(slices))
    scorer = None
    if args.held_out:
        scorer = open_validator(args.held_out, slices, experiment, device, marks)
    world = World.from_torchrun(device)
    events = args.tensorboard if world.is_main else None
    with (
        output_folder(args.out, TRAINING) if world.is_main else nullcontext(),
        _events(events, experiment.name) as callbacks,
    ):
        outcome = train(experiment, slices, args.out, device, budget, scorer, callbacks, world=world)
    return Answer(outcome.as_json(), f"{outcome.line()}\nwritten to {escaped(args.out)}")


def history(args: argparse.Namespace) -> Answer:
    """The history of a training, for a spreadsheet."""
    from chestgan_core.training.history_csv import write_history

    with _history_folder(args.training) as folder:
        files = write_history(folder, args.out)
    shown = ", ".join(escaped(path) for path in files)
    return Answer({"files": [str(path) for path in files]}, f"written: {shown}")


@contextmanager
def _history_folder(training: str) -> Iterator[Path]:
    """The folder itself, or one into which the tables of a run were fetched: not its weights."""
    if not training.startswith("s3://"):
        yield Path(training)
        return
    from chestgan_core.local.home import home
    from chestgan_core.store.download import download, open_address
    from chestgan_core.training.history_csv import FILES

    with (
        tempfile.TemporaryDirectory(prefix="chestgan-") as scratch,
        open_address(training, home()) as (store, key),
    ):
        run = key.removesuffix("/manifest.json")
        for name in FILES:
            download(store, f"{run}/{name}", Path(scratch) / name)
        yield Path(scratch)


@contextmanager
def _events(folder: Path | None, experiment: str) -> "Iterator[TrainingCallbacks | None]":
    """What writes event files, where they are asked for."""
    if folder is None:
        yield None
        return
    from chestgan_core.training.event_files import EventFiles

    with output_folder(folder, EVENTS, experiment), EventFiles(folder) as events:
        yield events.callbacks
