"""`chestgan study`: hyperparameter studies on loose shards, and what came out of one."""

import argparse
from dataclasses import asdict
from pathlib import Path

from chestgan_core.cli.experiments import explain_unknown
from chestgan_core.cli.parser import (
    Answer,
    Commands,
    Parser,
    add_budget,
    add_command,
    add_device,
    add_experiment,
    add_files,
    add_group,
    add_marks,
    add_out,
    add_phantom,
    add_threads,
    positive,
)
from chestgan_core.escaping import escaped
from chestgan_core.local.home import home
from chestgan_core.local.output import output_folder, require_output_folder

STUDY = "a study"


def add_to(commands: Commands) -> None:
    """The commands and their options."""
    group = add_group(
        commands,
        "study",
        "Search the hyperparameters of an experiment, and export the best as an experiment of its own.",
    )
    _add_run(group)
    parser = add_command(group, "show", show, "Print the trials of the newest study of an experiment.")
    _add_tuned(parser)
    parser = add_command(group, "export", export, "Write the best configuration of a study as an experiment.")
    _add_tuned(parser)
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="FOLDER", help="folder for the YAML file (default: here)"
    )


def _add_run(group: Commands) -> None:
    parser = add_command(
        group, "run", run, "Run trials.", "An interrupted study is resumed, and a finished one extended."
    )
    add_experiment(parser)
    add_files(parser, "--data", "slices to train on, written by chestgan normalize", required=True)
    add_files(parser, "--held-out", "slices of other patients, by which trials are scored", required=True)
    add_marks(parser)
    add_out(parser, "folder for the report and the tuned experiment")
    parser.add_argument(
        "--space",
        default="modern",
        metavar="SPACE",
        help="name of a search space, or path of a YAML file (default: modern)",
    )
    parser.add_argument(
        "--trials",
        type=positive,
        default=20,
        metavar="N",
        help="trials of the study in all, with those it already has (default: 20)",
    )
    parser.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="processes that run trials (default: 1)"
    )
    parser.add_argument(
        "--source-title",
        default="slices whose source is not stated",
        metavar="TEXT",
        help="title of the slices, as the report prints it",
    )
    add_phantom(parser)
    add_budget(parser, "stop a trial", "a tenth of the experiment's budget")
    parser.add_argument(
        "--validations",
        type=positive,
        default=8,
        metavar="N",
        help="validations per trial, evenly over its budget (default: 8)",
    )
    parser.add_argument(
        "--pruner",
        choices=("median", "hyperband", "none"),
        default="median",
        metavar="PRUNER",
        help="what stops unpromising trials early: median, hyperband or none (default: median)",
    )
    add_device(parser)
    add_threads(parser, "CPU threads per process (default: the cores, shared equally)")


def _add_tuned(parser: Parser) -> None:
    parser.add_argument("experiment", metavar="EXPERIMENT", help="name of the experiment that was tuned")
    parser.add_argument(
        "--store",
        action="store_true",
        help="read the study that was committed to the store, instead of the trials as they are now",
    )


def run(args: argparse.Namespace) -> Answer:
    """Run a study on shards and write its report."""
    _require_optuna()
    from chestgan_core.config.experiment import load_experiment
    from chestgan_core.tuning.space import load_space

    # Before torch, which takes seconds: a name may be mistyped.
    experiment, space = load_experiment(args.experiment), load_space(args.space)
    from chestgan_core.tuning.plan import StudySettings
    from chestgan_core.tuning.report_files import as_json, as_text
    from chestgan_core.tuning.study_files import Shards, run_study, write_report
    from chestgan_core.tuning.table import read_table

    require_output_folder(args.out, STUDY)
    settings = StudySettings(
        trials=args.trials,
        minutes=args.max_minutes,
        images=args.max_images,
        validations=args.validations,
        pruner=args.pruner,
    )
    study = run_study(
        Shards(args.data, args.held_out, args.device, home(), args.threads, marks=args.marks),
        experiment,
        space,
        settings,
        args.workers,
        args.source_title,
        "phantom" if args.phantom else "real",
    )
    table = read_table(study)
    with output_folder(args.out, STUDY, wait=True):
        written = write_report(table, args.out)
    files = "\n".join(str(path) for path in written if path.suffix in (".html", ".yaml"))
    data = {**as_json(table), "files": [str(path) for path in written]}
    return Answer(data, f"{as_text(table)}\nwritten:\n{files}")


def show(args: argparse.Namespace) -> Answer:
    """The trials of the newest study of an experiment."""
    _require_optuna()
    if args.store:
        from chestgan_core.store.embedded import open_store
        from chestgan_core.tuning.stored_study import latest_study

        with explain_unknown(args.experiment), open_store(home()) as store:
            manifest = latest_study(store, args.experiment).manifest
        return Answer(asdict(manifest), "\n".join(manifest.summary))
    from chestgan_core.tuning.report_files import as_json, as_text
    from chestgan_core.tuning.study_files import study_table

    with explain_unknown(args.experiment):
        table = study_table(home(), args.experiment)
    return Answer(as_json(table), as_text(table))


def export(args: argparse.Namespace) -> Answer:
    """Write the best configuration as a YAML file."""
    _require_optuna()
    from chestgan_core.config.names import tuned_name
    from chestgan_core.tuning.tuned import write_tuned

    if args.store:
        from chestgan_core.store.embedded import open_store
        from chestgan_core.tuning.stored_study import latest_study

        with explain_unknown(args.experiment), open_store(home()) as store:
            text = latest_study(store, args.experiment).best
    else:
        from chestgan_core.tuning.study_files import study_table
        from chestgan_core.tuning.tuned import as_yaml, tuned_experiment

        with explain_unknown(args.experiment):
            text = as_yaml(tuned_experiment(study_table(home(), args.experiment)))
    path = write_tuned(args.out, tuned_name(args.experiment), text)
    data = {"file": str(path), "experiment": path.stem}
    return Answer(
        data, f"written to {escaped(path)}; to use it by name, move it to the folder $CHESTGAN_EXPERIMENTS"
    )


def _require_optuna() -> None:
    """Before anything of a study is imported: Optuna is an extra. Raises NotAvailable."""
    from chestgan_core.tuning.requirements import require_optuna

    require_optuna()
