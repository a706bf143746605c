"""`chestgan plan`: what an experiment takes and can show, before anything is paid."""

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.cli.parser import (
    Answer,
    Commands,
    add_command,
    add_device,
    add_experiment,
    add_files,
    add_marks,
    add_threads,
    minutes,
    positive,
    price,
)
from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.local.home import home
from chestgan_core.local.prices import Prices

if TYPE_CHECKING:
    from chestgan_core.config.experiment import Experiment
    from chestgan_core.planning.plan import DataFacts
    from chestgan_core.training.data import LoadedSlices
    from chestgan_core.training.mapped_images import Images


def add_to(commands: Commands) -> None:
    """The command and its options."""
    parser = add_command(
        commands,
        "plan",
        plan,
        "Say what a training takes and what its reports can show, before it is paid for.",
        "Steps are timed for some seconds on this machine. Without --data, the newest training set of the experiment's "
        "dataset is taken from the store.",
    )
    add_experiment(parser)
    add_files(parser, "--data", "slices to train on, written by chestgan normalize")
    add_files(parser, "--held-out", "slices of other patients")
    add_marks(parser)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="look at no slices: how many there are is that of the training set in the store, steps are timed on noise",
    )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--images", type=positive, metavar="N", help="images to be seen (default: as the experiment says)"
    )
    budget.add_argument("--minutes", type=minutes, metavar="MINUTES", help="minutes of training")
    parser.add_argument(
        "--hourly-price",
        type=price,
        metavar="PRICE",
        help="of one hour of this machine, with --currency (default: CHESTGAN_PRICE_GPU_HOUR, CHESTGAN_PRICE_CPU_HOUR; "
        "without any, no money is said)",
    )
    parser.add_argument("--currency", metavar="CODE", help="of the price, such as EUR")
    add_device(parser)
    add_threads(parser, "CPU threads (default: all cores)")


def plan(args: argparse.Namespace) -> Answer:
    """Measure, estimate, and say it."""
    from chestgan_core.config.experiment import load_experiment

    experiment = load_experiment(args.experiment)  # before torch, which takes seconds
    prices = _prices(args)
    if args.held_out and not args.data:
        raise BadInput("--held-out", "is given without --data", "give the slices of both sides, or neither")
    import torch

    from chestgan_core.planning.plan import make_plan
    from chestgan_core.planning.text import as_text
    from chestgan_core.training.devices import pick_device
    from chestgan_core.training.schedule import Budget

    if args.threads:
        torch.set_num_threads(args.threads)
    device = pick_device(args.device)
    budget = Budget(args.minutes, args.images) if args.minutes or args.images else None
    trained, held_out, facts = _slices(args, experiment)
    made = make_plan(experiment, device, prices, trained, held_out, facts, budget)
    return Answer(made.as_json(), as_text(made))


def _prices(args: argparse.Namespace) -> "Prices":
    """Raises BadInput: a price without a currency, or the other way round."""
    if args.hourly_price is None:
        if args.currency:
            raise BadInput("--currency", "is given without a price", "give --hourly-price too")
        return Prices.from_environment()
    if not args.currency:
        raise BadInput(
            "--hourly-price", "is given without a currency", "give --currency too, for example EUR"
        )
    return Prices(currency=args.currency, machine_hour=args.hourly_price)


def _slices(
    args: argparse.Namespace, experiment: "Experiment"
) -> "tuple[LoadedSlices[Images] | None, LoadedSlices[Images] | None, DataFacts | None]":
    """Those of files, or of the store; none where they are not to be looked at."""
    from chestgan_core.planning.sides import facts_of, sides_from_files, sides_of
    from chestgan_core.slices.training_set import open_training_set
    from chestgan_core.store.embedded import open_store

    if args.data:
        return *sides_from_files(experiment, args.data, args.held_out or (), args.marks), None
    with open_store(home()) as store:
        try:
            training_set = open_training_set(store, experiment.dataset)
        except NotInStore as error:
            if args.quick:
                return None, None, None
            remedy = "materialize training_set, give --data and --held-out, or ask for less with --quick"
            raise NotInStore(f"training set of {experiment.dataset}", error.cause, remedy) from error
        facts = facts_of(training_set, experiment)
        if args.quick:
            return None, None, facts
        with tempfile.TemporaryDirectory(prefix="chestgan-") as scratch:
            return *sides_of(store, training_set, experiment, Path(scratch)), facts
