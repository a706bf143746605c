"""hyperparameter_study: many short trainings of an experiment, and the best of them as `<experiment>-tuned`.

One asset made of steps: the first opens the study, as many workers as are wanted run trials side by side, the last
commits. No value passes between steps, so they may run on different machines: what they share is the storage of the
study, in which the workers find it by the name of the run.
"""

import os
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from chestgan_assets.execution.executor import OWNERS, RETRY, steps_share_processor, study_pool
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import Use, metered, together
from chestgan_assets.metadata import picture, table
from chestgan_assets.partitions import dataset_to_experiments, experiments
from chestgan_assets.resources import StoreResource, Workplace
from chestgan_core.config.experiment import load_experiment
from chestgan_core.tuning.version import VERSION

if TYPE_CHECKING:
    from chestgan_core.tuning.table import TrialRow

FIGURES = {
    "history.png": ("history", "what each trial scored"),
    "learning.png": ("learning", "the looks of each trial"),
    "importance.png": ("importance", "which parameters matter"),
    "parallel.png": ("values", "which values are good"),
}


class StudyConfig(dg.Config):
    """What a person may choose for a study."""

    trials: int = Field(
        20, ge=1, description="Trials that the study is to have; a finished one goes on when raised."
    )
    parallel: int = Field(
        2, ge=1, le=64, description="Trials side by side. On one GPU they wait for each other."
    )
    minutes: float | None = Field(
        None, gt=0, description="Of each trial. Default: a tenth of the experiment's budget."
    )
    images: int | None = Field(None, ge=1, description="Seen by each trial, instead of or beside minutes.")
    looks: int = Field(8, ge=1, description="Scores of each trial, evenly over its budget.")
    space: str = Field("modern", description="Search space: modern, thesis, or a file in $CHESTGAN_SPACES.")
    pruner: Literal["median", "hyperband", "none"] = Field(
        "median", description="What ends bad trials early."
    )


@dg.config_mapping
def chosen_once(config: StudyConfig) -> dict[str, Any]:
    """What a person chose once, for the steps that need it."""
    told = {"config": config.model_dump()}
    return {"open_study": told, "run_trials": told}


@dg.op(
    ins={"training_set": dg.In(dg.Nothing)},
    out=dg.DynamicOut(dg.Nothing),
    pool=study_pool(),
    retry_policy=RETRY,
)
def open_study(
    context: dg.OpExecutionContext, config: StudyConfig, store: StoreResource, workplace: Workplace
) -> Iterator[dg.DynamicOutput[None]]:
    """Make the study, or find the one that goes on; one output a worker."""
    from chestgan_core.tuning.requirements import require_optuna

    with one_line_failures():
        require_optuna()
    from chestgan_core.tuning.plan import Wanted
    from chestgan_core.tuning.space import load_space
    from chestgan_core.tuning.storage import storage_title, study_storage
    from chestgan_core.tuning.stored_study import open_experiment_study
    from chestgan_core.tuning.study import note_use

    with one_line_failures(), metered(store, workplace) as meter, workplace.scratch() as folder:
        wanted = Wanted(
            trials=config.trials,
            minutes=config.minutes,
            images=config.images,
            looks=config.looks,
            pruner=config.pruner,
        )
        study = open_experiment_study(
            meter.store,
            study_storage(workplace.home),
            load_experiment(context.partition_key),
            load_space(config.space),
            wanted,
            workplace.device,
            folder,
            _caller(context),
        )
        note_use(study, _step(context), asdict(meter.read()))
        context.log.info(
            f"study {study.plan.name}, trials of {study.plan.budget}; storage: {storage_title()}"
        )
    for number in range(config.parallel):
        yield dg.DynamicOutput(None, mapping_key=f"worker_{number}")


@dg.op(
    ins={"opened": dg.In(dg.Nothing)},
    out=dg.Out(dg.Nothing),
    pool=study_pool(),
    retry_policy=RETRY,
)
def run_trials(
    context: dg.OpExecutionContext, config: StudyConfig, store: StoreResource, workplace: Workplace
) -> None:
    """Trials, one after the other, until the study has as many as are wanted; other workers do the same."""
    from chestgan_core.tuning.storage import study_storage
    from chestgan_core.tuning.stored_study import work_on_study
    from chestgan_core.tuning.study import find_study, note_use

    def tell(row: "TrialRow") -> None:
        """What the asset's page shows while the study goes on."""
        # After each trial: a worker that is killed later has told what it used.
        note_use(study, _step(context), asdict(meter.read()))
        scores = {} if row.kid is None else {"KID x 1000": round(1000 * row.kid, 1)}
        told = {
            "trial": row.number,
            **scores,
            **({"ended early": row.reason} if row.reason else {}),
            **row.drawn,
        }
        context.log_event(
            dg.AssetObservation("hyperparameter_study", partition=context.partition_key, metadata=told)
        )

    threads = max(1, (os.cpu_count() or 1) // config.parallel) if steps_share_processor() else None
    with one_line_failures(), metered(store, workplace) as meter, workplace.scratch() as folder:
        study = find_study(study_storage(workplace.home), context.partition_key, _caller(context))
        here = work_on_study(meter.store, study, config.trials, workplace.device, folder, threads, tell)
        note_use(study, _step(context), asdict(meter.read()))
        context.log.info(f"{here} trials ended here")


@dg.op(ins={"worked": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing), retry_policy=RETRY)
def commit_study(
    context: dg.OpExecutionContext, store: StoreResource, workplace: Workplace
) -> dg.Output[None]:
    """Commit trials, figures and report, and put the best configuration where every machine finds it."""
    from chestgan_core.tuning.storage import study_storage
    from chestgan_core.tuning.stored_study import commit_study
    from chestgan_core.tuning.study import find_study, uses
    from chestgan_core.tuning.tuned import tuned_name

    with one_line_failures(), metered(store) as meter:
        study = find_study(study_storage(workplace.home), context.partition_key, _caller(context))
        stored = commit_study(meter.store, study)
        used = together([*(Use(**told) for told in uses(study, _caller(context))), meter.read()])
    told = stored.told
    scores = {
        f"KID x 1000, {name}": round(1000 * value, 1)
        for name, value in (
            ("best", told["best"] and told["best"]["kid"]),
            ("initial", told["initial"] and told["initial"]["kid"]),
            ("floor", told["floor"]),
        )
        if value is not None
    }
    name = tuned_name(context.partition_key)
    metadata = {
        "uri": stored.uri,
        "in words": dg.MetadataValue.md("\n".join(f"- {line}" for line in told["summary"])),
        **{
            label: picture(stored.figures[file], title)
            for file, (label, title) in FIGURES.items()
            if file in stored.figures
        },
        **(
            {"best values": table(("field", "value"), list(told["best"]["drawn"].items()))}
            if told["best"]
            else {}
        ),
        **scores,
        "trials": told["trials"],
        "ended early": told["pruned"],
        "lost": told["failed"],
        "tuned experiment": dg.MetadataValue.md(
            f"Reload the code location, then materialize the partition `{name}`." if told["best"] else "none"
        ),
        "training set": told["training_set"],
        "extractor": told["extractor"],
        "held-out images": told["held_out_images"],
        **used.metadata(),
    }
    with warnings.catch_warnings():
        # A step can tell the version of what it made only so, and Dagster calls that beta.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.Output(None, data_version=dg.DataVersion(stored.version), metadata=metadata)


@dg.graph_asset(
    partitions_def=experiments,
    ins={
        "training_set": dg.AssetIn(dagster_type=dg.Nothing, partition_mapping=dataset_to_experiments),
    },
    group_name="training",
    kinds={"optuna", "pytorch", "s3"},
    owners=OWNERS,
    code_version=str(VERSION),
    config=chosen_once,
)
def hyperparameter_study(training_set: Any) -> Any:
    """Configurations of an experiment, tried and scored on held-out patients; the best becomes `<experiment>-tuned`."""
    return commit_study(open_study(training_set).map(run_trials).collect())


def _caller(context: dg.OpExecutionContext) -> str:
    """What all steps of a run have in common, and those of a run that takes up a failed one."""
    return str(context.run.root_run_id or context.run_id)


def _step(context: dg.OpExecutionContext) -> str:
    """A name for one attempt at one step."""
    worker = context.get_mapping_key() or ""
    return f"{_caller(context)} {context.op.name} {worker} {context.run_id} {context.retry_number}"
