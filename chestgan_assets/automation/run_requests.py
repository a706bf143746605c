"""Run requests of sensors and schedules, and how a sensor goes through the experiments.

Input: experiments, and what a sensor does with each. Output: run requests that carry their key as a tag, and a tick
that says for every experiment why it did or did not act.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg

from chestgan_assets.automation.tick_lines import grouped
from chestgan_assets.tags import REQUEST_KEY_TAG
from chestgan_core.errors import ChestganError

# Experiment and cursor -> the next run, and why. It writes into the cursor.
Step: TypeAlias = Callable[[str, dict[str, str]], tuple[dg.RunRequest | None, str]]


def run_request(
    key: str,
    partition: str,
    job: str | None = None,
    assets: Sequence[str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> dg.RunRequest:
    """key: what is requested and for which state; Dagster launches a key once. job: for sensors with several jobs.
    assets: of the job, only these. config: of the run.
    """
    return dg.RunRequest(
        run_key=key,
        run_config=config,
        job_name=job,
        partition_key=partition,
        tags={REQUEST_KEY_TAG: key},
        asset_selection=None if assets is None else [dg.AssetKey(name) for name in assets],
    )


def latest_run(instance: dg.DagsterInstance, key: str) -> dg.DagsterRun | None:
    """The newest run with this request key."""
    records = instance.get_run_records(dg.RunsFilter(tags={REQUEST_KEY_TAG: key}), limit=1)
    return records[0].dagster_run if records else None


# How a run ended without its result, in words.
ENDED_BADLY = {dg.DagsterRunStatus.FAILURE: "failed", dg.DagsterRunStatus.CANCELED: "was canceled"}


def asked_before(instance: dg.DagsterInstance, key: str, requested: bool) -> str:
    """What became of the run that was requested under a key, for the line of a tick; "" where none was.

    requested: whether an earlier tick did. Then the run may have been deleted since, and is not launched again.
    """
    run = latest_run(instance, key)
    if run is None:
        return "was requested before, and its run is gone: start it by hand" if requested else ""
    if run.status in ENDED_BADLY:
        return f"the run for that {ENDED_BADLY[run.status]}: start it by hand, it is not requested again"
    if run.status is dg.DagsterRunStatus.SUCCESS:
        return "a run for that has ended; not requested again"
    return "waits for the run for that"


def for_each_experiment(
    context: dg.SensorEvaluationContext, names: Iterable[str], step: Step, unremarkable: Sequence[str]
) -> dg.SensorResult:
    """One tick over these experiments. The cursor holds what was requested, by keys that the step chooses.

    unremarkable: reasons that need nobody's attention; experiments with such a reason are only counted.
    """
    requested: dict[str, str] = json.loads(context.cursor or "{}")
    requests: list[dg.RunRequest] = []
    acted: dict[str, str] = {}
    others: dict[str, str] = {}
    for name in names:
        try:
            request, reason = step(name, requested)
        except ChestganError as error:
            request, reason = None, str(error)  # the other experiments must not wait for it
        (others if request is None else acted)[name] = reason
        if request is not None:
            requests.append(request)
    summary = grouped({**acted, **others}, unremarkable)
    context.log.info(summary)
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else summary, cursor=json.dumps(requested)
    )
