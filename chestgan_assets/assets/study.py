"""hyperparameter_study: many short trainings of an experiment, and the best of them as `<experiment>-tuned`.

One asset made of steps: the first opens the study, the workers run trials side by side, the last commits. No value
passes between steps, so they may run on different machines: they share the storage of the study, in which the workers
find it by the name of the run.
"""

import os
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from chestgan_assets.execution.executor import OWNERS, RETRY, steps_share_cpu, study_pool
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.usage import Usage, metered, total
from chestgan_assets.metadata import URI, beside, picture, table, where_to_look
from chestgan_assets.partitions import dataset_to_experiments, experiments
from chestgan_assets.resources import MachineResource, StoreResource
from chestgan_assets.tags import MODEL_WEIGHTS
from chestgan_core.documents.markdown import markdown
from chestgan_core.tuning.version import VERSION

if TYPE_CHECKING:
    from chestgan_core.tuning.table import TrialRow

FIGURES = {
    "history.png": ("history", "score of each trial"),
    "learning.png": ("learning", "validations of each trial"),
    "importance.png": ("importance", "importance of the parameters"),
    "parallel.png": ("values", "values and scores of the trials"),
}


class StudyConfig(dg.Config):
    """The settings of a study."""

    trials: int = Field(
        20, ge=1, description="Trials of the study; raising the number extends a finished study."
    )
    workers: int = Field(
        2, ge=1, le=64, description="Workers, each running one trial at a time. On one GPU they take turns."
    )
    minutes: float | None = Field(
        None, gt=0, description="Per trial. Default: a tenth of the experiment's budget."
    )
    images: int | None = Field(None, ge=1, description="Seen per trial, instead of or beside minutes.")
    validations: int = Field(8, ge=1, description="Validations per trial, evenly over its budget.")
    space: str = Field("modern", description="Search space: modern, thesis, or a file in $CHESTGAN_SPACES.")
    pruner: Literal["median", "hyperband", "none"] = Field(
        "median", description="What stops poor trials early."
    )


@dg.config_mapping
def study_config(config: StudyConfig) -> dict[str, Any]:
    """The configuration of the study, for each step that needs it."""
    step = {"config": config.model_dump()}
    return {"open_study": step, "run_trials": step}


@dg.op(
    ins={"training_set": dg.In(dg.Nothing)},
    out=dg.DynamicOut(dg.Nothing),
    pool=study_pool(),
    retry_policy=RETRY,
)
def open_study(
    context: dg.OpExecutionContext, config: StudyConfig, store: StoreResource, machine: MachineResource
) -> Iterator[dg.DynamicOutput[None]]:
    """Create the study or resume it; one output per worker."""
    from chestgan_core.tuning.requirements import require_optuna

    with one_line_failures():
        require_optuna()
    from chestgan_core.tuning.plan import StudySettings
    from chestgan_core.tuning.space import load_space
    from chestgan_core.tuning.storage import storage_title, study_storage
    from chestgan_core.tuning.stored_study import open_experiment_study
    from chestgan_core.tuning.study import record_usage
    from chestgan_core.tuning.tuned import load_stored_experiment

    with one_line_failures(), metered(store, machine) as meter, machine.scratch() as folder:
        settings = StudySettings(
            trials=config.trials,
            minutes=config.minutes,
            images=config.images,
            validations=config.validations,
            pruner=config.pruner,
        )
        study = open_experiment_study(
            meter.store,
            study_storage(machine.home),
            load_stored_experiment(meter.store, context.partition_key),
            load_space(config.space),
            settings,
            machine.device,
            folder,
            _caller(context),
        )
        record_usage(study, _step(context), asdict(meter.read()))
        context.log.info(
            f"study {study.plan.name}, trials of {study.plan.budget}; storage: {storage_title()}"
        )
    for number in range(config.workers):
        yield dg.DynamicOutput(None, mapping_key=f"worker_{number}")


@dg.op(
    ins={"opened": dg.In(dg.Nothing)},
    out=dg.Out(dg.Nothing),
    pool=study_pool(),
    retry_policy=RETRY,
)
def run_trials(
    context: dg.OpExecutionContext, config: StudyConfig, store: StoreResource, machine: MachineResource
) -> None:
    """Trials, one after the other, until the study has the requested number; other workers do the same."""
    from chestgan_core.tuning.storage import study_storage
    from chestgan_core.tuning.stored_study import work_on_study
    from chestgan_core.tuning.study import find_study, record_usage
    from chestgan_core.tuning.summary import plain, standing

    def observe(row: "TrialRow") -> None:
        """What the asset's page shows while the study runs."""
        # After each trial: so the usage of a worker that is killed later is known.
        record_usage(study, _step(context), asdict(meter.read()))
        scores = {} if row.kid is None else {"KID x 1000": round(1000 * row.kid, 1)}
        metadata: dict[str, Any] = {
            "progress": standing(study, config.trials),
            "trial": row.number,
            **scores,
            **({"pruned": row.reason} if row.reason else {}),
            **{path: plain(value) for path, value in row.drawn.items()},
            "where to look": where,
        }
        context.log_event(
            dg.AssetObservation("hyperparameter_study", partition=context.partition_key, metadata=metadata)
        )

    worker = f"hyperparameter_study.run_trials[{context.get_mapping_key()}]"
    where = where_to_look("hyperparameter_study", context.partition_key, context.run_id, worker)
    threads = max(1, (os.cpu_count() or 1) // config.workers) if steps_share_cpu() else None
    with one_line_failures(), metered(store, machine) as meter, machine.scratch() as folder:
        study = find_study(study_storage(machine.home), context.partition_key, _caller(context))
        here = work_on_study(meter.store, study, config.trials, machine.device, folder, threads, observe)
        record_usage(study, _step(context), asdict(meter.read()))
        context.log.info(f"{here} trials ended in this step")


@dg.op(ins={"worked": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing), retry_policy=RETRY)
def commit_study(
    context: dg.OpExecutionContext, store: StoreResource, machine: MachineResource
) -> dg.Output[None]:
    """Commit trials, figures and report, and put the best configuration where every machine finds it."""
    from chestgan_core.config.names import tuned_name
    from chestgan_core.tuning.storage import study_storage
    from chestgan_core.tuning.stored_study import commit_study
    from chestgan_core.tuning.study import find_study, recorded_usage
    from chestgan_core.tuning.summary import plain
    from chestgan_core.tuning.tuned import fetch_tuned

    with one_line_failures(), metered(store) as meter:
        study = find_study(study_storage(machine.home), context.partition_key, _caller(context))
        stored = commit_study(meter.store, study)
        if steps_share_cpu():
            fetch_tuned(meter.store)  # the code servers of this machine have the same home
        used = total([*(Usage(**usage) for usage in recorded_usage(study, _caller(context))), meter.read()])
    manifest = stored.manifest
    best, initial = manifest.best, manifest.initial
    scores = {
        f"KID x 1000, {name}": round(1000 * value, 1)
        for name, value in (
            ("best", best.kid if best else None),
            ("initial", initial.kid if initial else None),
            ("floor", manifest.floor),
        )
        if value is not None
    }
    values = [(path, plain(value)) for path, value in best.drawn.items()] if best else []
    name = tuned_name(context.partition_key)
    metadata = {
        URI: stored.uri,
        "report": beside(stored.uri, "report.html"),
        "report, PDF": beside(stored.uri, "report.pdf"),
        "summary": dg.MetadataValue.md("\n".join(f"- {markdown(line)}" for line in manifest.summary)),
        **{
            label: picture(stored.figures[file], title)
            for file, (label, title) in FIGURES.items()
            if file in stored.figures
        },
        **({"best values": table(("field", "value"), values)} if best else {}),
        **scores,
        "trials": manifest.trials,
        "pruned": manifest.pruned,
        "lost attempts": manifest.failed,
        "tuned experiment": dg.MetadataValue.md(
            f"`{name}`: a partition once the code location is reloaded, by hand or by `tuned_experiments_sensor`."
            if best
            else "none"
        ),
        "training set": manifest.training_set,
        "extractor": manifest.extractor,
        "held-out images": manifest.held_out_images,
        **used.metadata(),
    }
    with warnings.catch_warnings():
        # The only way in which a step sets the version of its asset; Dagster calls it beta.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.Output(None, data_version=dg.DataVersion(stored.version), metadata=metadata)


@dg.graph_asset(
    partitions_def=experiments,
    ins={
        "training_set": dg.AssetIn(dagster_type=dg.Nothing, partition_mapping=dataset_to_experiments),
    },
    group_name="training",
    kinds={"optuna", "pytorch", "parquet", "s3"},
    tags=MODEL_WEIGHTS,
    owners=OWNERS,
    code_version=str(VERSION),
    config=study_config,
)
def hyperparameter_study(training_set: Any) -> Any:
    """Trial trainings of an experiment, scored on held-out patients; the best becomes `<experiment>-tuned`."""
    return commit_study(open_study(training_set).map(run_trials).collect())


def _caller(context: dg.OpExecutionContext) -> str:
    """The same for all steps of a run, and for a run that retries a failed one."""
    return str(context.run.root_run_id or context.run_id)


def _step(context: dg.OpExecutionContext) -> str:
    """A name for one attempt at one step."""
    worker = context.get_mapping_key() or ""
    return f"{_caller(context)} {context.op.name} {worker} {context.run_id} {context.retry_number}"
