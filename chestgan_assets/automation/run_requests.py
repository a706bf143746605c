"""Runs that nobody starts by hand: how they are asked for, and how a sensor goes through the experiments.

In: experiments, and what a sensor does with one. Out: run requests that carry their key as a tag, and a tick that says
of each experiment why it did or did not act.
"""

import json
from collections.abc import Callable, Iterable
from typing import TypeAlias

import dagster as dg

from chestgan_core.errors import ChestganError

ASKED = "chestgan/asked_for"  # tag: what asked for the run, and of which state

# Experiment and cursor -> the next step, and why. It writes into the cursor.
Step: TypeAlias = Callable[[str, dict[str, str]], tuple[dg.RunRequest | None, str]]


def run_request(key: str, partition: str, job: str | None = None) -> dg.RunRequest:
    """job: where a sensor has several."""
    return dg.RunRequest(run_key=key, job_name=job, partition_key=partition, tags={ASKED: key})


def each_experiment(context: dg.SensorEvaluationContext, names: Iterable[str], step: Step) -> dg.SensorResult:
    """A tick over these experiments. The cursor holds what was asked for, by names that the step chooses."""
    asked: dict[str, str] = json.loads(context.cursor or "{}")
    requests: list[dg.RunRequest] = []
    said = []
    for name in names:
        try:
            request, why = step(name, asked)
        except ChestganError as error:
            request, why = None, str(error)  # the other experiments must not wait for it
        said.append(f"{name}: {why}")
        if request is not None:
            requests.append(request)
    told = "; ".join(said)
    context.log.info(told)
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else told, cursor=json.dumps(asked)
    )
