"""What a study found goes its way: trained, scored, and published where its release gate lets it.

Input: the tuned experiments of the store, what is there of each, and what was requested before (the cursor, Dagster's
runs). Output: run requests for one step of one experiment. Each step has a sensor of its own, which is off until it is
turned on, and decides by what the store holds now: nothing is lost while it is off, or while the daemon is down.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg

from chestgan_assets.automation.run_requests import asked_before, for_each_experiment, run_request
from chestgan_assets.automation.tuned_experiments import NONE, tuned_experiments
from chestgan_assets.execution.partition_runs import partitions_in_flight
from chestgan_assets.jobs.asset_jobs import synthetic_set_job
from chestgan_assets.resources import StoreResource

if TYPE_CHECKING:
    from chestgan_core.config.experiment import Experiment
    from chestgan_core.publishing.next_steps import NextStep
    from chestgan_core.store.store import Store

    Decision = Callable[[Store, Experiment], NextStep]


@dg.sensor(
    job=synthetic_set_job,
    minimum_interval_seconds=60,
    description="Trains the best configuration of each study, once, where it is better by more than chance than the "
    "experiment as it is. Costs a whole training each, also for studies that people ran. Off by default.",
)
def tuned_training_sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Trains the best configuration of a study where it is shown to be better.

    A state is the configuration and the training set. Another training set is for retraining_sensor, once the
    experiment has a run.
    """
    from chestgan_core.publishing.next_steps import TRAINED, next_training

    return _tick(context, store, "training", ("generator_checkpoint",), next_training, (TRAINED,))


@dg.sensor(
    job=synthetic_set_job,
    minimum_interval_seconds=60,
    description="Scores tuned experiments after their training, and again when their release rules change. Costs a "
    "report each, minutes on a CPU. Off by default.",
)
def tuned_report_sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Scores the newest run of tuned experiments.

    A state is the run with the sections that decide what the report says.
    """
    from chestgan_core.publishing.next_steps import NOT_TRAINED, SCORED, next_report

    return _tick(context, store, "report", ("metric_report",), next_report, (SCORED, NOT_TRAINED))


@dg.sensor(
    job=synthetic_set_job,
    minimum_interval_seconds=60,
    description="Publishes the images of tuned experiments whose newest report passed the release gate. Nobody looks "
    "at them before. Off by default.",
)
def tuned_publication_sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Publishes the set of tuned experiments whose newest run passed the present release rules.

    A state is the run, its report and what the set is to hold. The step asks the gate once more before it publishes.
    """
    from chestgan_core.publishing.next_steps import NOT_SCORED, NOT_TRAINED, PUBLISHED, next_publication

    made = ("synthetic_image_set", "synthetic_set_index", "reader_study_images")
    quiet = (PUBLISHED, NOT_TRAINED, NOT_SCORED)
    return _tick(context, store, "publication", made, next_publication, quiet)


def _tick(
    context: dg.SensorEvaluationContext,
    store: StoreResource,
    step: str,
    assets: tuple[str, ...],
    decide: "Decision",
    unremarkable: tuple[str, ...],
) -> dg.SensorResult:
    """Request one step of every tuned experiment that needs it. assets: what the run makes, of synthetic_set_job."""
    opened = store.open()
    found = tuned_experiments(opened)
    if not found:
        return dg.SensorResult(skip_reason=NONE)

    def next_of(name: str, requested: dict[str, str]) -> tuple[dg.RunRequest | None, str]:
        one = found[name]
        if one.experiment is None or one.problem:
            remedy = (
                ": reload the code location, or leave it to tuned_experiments_sensor" if one.waits else ""
            )
            return None, f"{one.problem}{remedy}"
        wanted = decide(opened, one.experiment)
        if not wanted.state:
            return None, wanted.reason
        key = f"tuned-{step}:{name}:{wanted.state}"
        if said := asked_before(context.instance, key, requested.get(name) == key):
            return None, f"{wanted.reason}; {said}"
        if partitions_in_flight(context.instance, [name]):
            return None, f"{wanted.reason}; waits for a run of it that is in flight"
        requested[name] = key
        request = run_request(key, name, assets=assets)
        return request, f"{wanted.reason}; {step} requested"

    return for_each_experiment(context, found, next_of, unremarkable)
