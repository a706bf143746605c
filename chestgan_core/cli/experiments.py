"""`chestgan experiments`: list, show and validate experiments."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager

from chestgan_core.cli.parser import EXPERIMENT, Answer, Commands, add_command, add_experiment, add_group
from chestgan_core.errors import BadExperiment, NotInStore, UnknownName, nearest


def add_to(commands: Commands) -> None:
    """The commands and their options."""
    group = add_group(commands, "experiments", "List, show and validate experiments.")
    add_command(group, "list", list_experiments, "List all experiments.")
    add_experiment(add_command(group, "show", show, "Print all fields of an experiment."))
    parser = add_command(
        group,
        "validate",
        validate,
        "Check experiments, and name the file, line and field of each error.",
        "The exit status is 2 if there is one.",
    )
    parser.add_argument(
        "experiments", nargs="*", metavar="EXPERIMENT", help=f"{EXPERIMENT} (default: all experiments)"
    )


def list_experiments(args: argparse.Namespace) -> Answer:
    """Name, dataset and description of each."""
    from chestgan_core.config.experiment import load_experiment
    from chestgan_core.config.names import experiment_files

    known = [load_experiment(path) for path in experiment_files().values()]
    rows = [{"name": one.name, "dataset": one.dataset, "description": one.description} for one in known]
    widths = [max(len(row[column]) for row in rows) for column in ("name", "dataset")]
    lines = [f"{row['name']:{widths[0]}}  {row['dataset']:{widths[1]}}  {row['description']}" for row in rows]
    return Answer({"experiments": rows}, "\n".join(lines))


def show(args: argparse.Namespace) -> Answer:
    """All fields of one, defaults included."""
    from chestgan_core.config.experiment import load_experiment

    fields = load_experiment(args.experiment).model_dump(mode="json")
    return Answer(fields, json.dumps(fields, indent=2))


def validate(args: argparse.Namespace) -> Answer:
    """The faults of some experiments; exit status 2 where there are any."""
    from chestgan_core.config.experiment import load_experiment
    from chestgan_core.config.names import experiment_files

    names = args.experiments or list(experiment_files())
    faults: dict[str, str] = {}
    for name in names:
        try:
            load_experiment(name)
        except BadExperiment as error:
            faults[name] = str(error)
    valid = f"{len(names) - len(faults)} of {len(names)} experiments are valid"
    return Answer({"faults": faults, "exit_status": 2 if faults else 0}, "\n".join([*faults.values(), valid]))


@contextmanager
def explain_unknown(*names: str) -> Iterator[None]:
    """Around a look into the store: what is not there, and not among the experiments here either, was mistyped.

    Raises UnknownName in place of NotInStore. An experiment unknown here may still be in the store.
    """
    from chestgan_core.config.names import experiment_files

    try:
        yield
    except NotInStore as error:
        files = experiment_files()
        for name in names:
            if name not in files and error.what == f"experiment {name}":
                cause = f"{error.cause}, and is not a known experiment"
                raise UnknownName(error.what, cause, nearest(name, files)) from error
        raise
