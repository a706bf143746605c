"""Run requests of sensors and schedules, and how a sensor goes through the experiments.

Input: experiments, and what a sensor does with each. Output: run requests that carry their key as a tag, and a tick
that says for every experiment why it did or did not act.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import dagster as dg

from chestgan_assets.automation.tick_lines import grouped
from chestgan_assets.tags import REQUEST_KEY_TAG
from chestgan_core.errors import ChestganError

# Experiment and cursor -> the next run, and why. It writes into the cursor.
Step: TypeAlias = Callable[[str, dict[str, str]], tuple[dg.RunRequest | None, str]]


def run_request(
    key: str, partition: str, job: str | None = None, assets: Sequence[str] | None = None
) -> dg.RunRequest:
    """key: what is requested and for which state; Dagster launches a key once. job: for sensors with several jobs.
    assets: of the job, only these.
    """
    return dg.RunRequest(
        run_key=key,
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
