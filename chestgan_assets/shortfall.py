"""The study of an experiment whose report falls short.

In: the newest reports. Out: requests of the job `study`, one for each experiment until a report passes again. Dagster
refuses a sensor whose job does not exist, so definitions.py has it only where there is a job of this name.
"""

import json

import dagster as dg

from chestgan_assets.partitions import EXPERIMENTS
from chestgan_assets.resources import StoreResource
from chestgan_core.automation import newest_report, shortfall, thresholds
from chestgan_core.errors import ChestganError

STUDY = "study"


@dg.sensor(
    job_name=STUDY,
    minimum_interval_seconds=600,
    description="Asks for a hyperparameter study where a report falls short. Off until somebody turns it on.",
)
def study_when_short(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Asks for a hyperparameter study where a report falls short. Off until somebody turns it on.

    The cursor holds by experiment the report that a study was asked for. A later report that falls short too asks for
    none: the study did not help. One that passes clears the memory.
    """
    asked: dict[str, str] = json.loads(context.cursor or "{}")
    opened, limits = store.open(), thresholds()
    requests: list[dg.RunRequest] = []
    said = []
    for experiment in EXPERIMENTS:
        try:
            found = newest_report(opened, experiment)
            short, why = shortfall(found[1], limits.study_floors) if found else (None, "has no report")
        except ChestganError as error:
            found, short, why = None, None, str(error)
        if found and short is False:
            asked.pop(experiment, None)
        elif found and short and experiment in asked:
            again = asked[experiment] == found[0]
            why += "; a study was asked for" if again else "; the study did not help: a person decides"
        elif found and short:
            asked[experiment] = found[0]
            requests.append(
                dg.RunRequest(
                    run_key=f"study:{experiment}:{found[0]}", job_name=STUDY, partition_key=experiment
                )
            )
            why += "; study asked for"
        said.append(f"{experiment}: {why}")
    told = "; ".join(said)
    context.log.info(told)
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else told, cursor=json.dumps(asked)
    )
