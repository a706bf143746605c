"""New and revised series: patients whose series differ between two catalogs are archived and normalized again.

Input: the catalog that was processed last (the cursor) and the newest one. Output: run requests, some at a time. The
first catalog of a dataset requests nothing: the first load is a backfill that a person starts.
"""

import json
import time
from collections.abc import Mapping, Sequence

import dagster as dg

from chestgan_assets.automation.patient_partitions import catalogued, listed_patients
from chestgan_assets.execution.batch_size import batch_size, runs_of, tags_of
from chestgan_assets.jobs.asset_jobs import patient_slices_job
from chestgan_assets.partitions import PATIENT_PARTITIONS
from chestgan_assets.resources import StoreResource
from chestgan_assets.tags import DATASET_TAG, PARTITION_TAG
from chestgan_core.config.names import patient_partition
from chestgan_core.store.artefacts import content_version

MAX_PER_TICK = 500  # patients


def changed_patients(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Patients of `now` who are new or have another fingerprint, sorted. Both: patient -> fingerprint."""
    return sorted(patient for patient, fingerprint in now.items() if before.get(patient) != fingerprint)


@dg.sensor(
    job=patient_slices_job,
    minimum_interval_seconds=60,
    description=f"Updates patients with new or revised series, at most {MAX_PER_TICK} per tick. Off by default.",
)
def new_series_sensor(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Updates patients with new or revised series.

    The cursor holds the transition of each dataset from one catalog version to another: both versions, the last patient
    requested, and when it began. A patient is requested once per transition: a revision may restore an earlier content.
    """
    transitions: dict[str, dict[str, str]] = json.loads(context.cursor or "{}")
    opened = store.open()
    reason = "no catalog has new or revised series"
    for dataset, newest in catalogued(opened):
        transition = transitions.setdefault(dataset, {"from": newest, "to": newest, "after": "", "began": ""})
        if transition["from"] == transition["to"] == newest:
            continue
        if transition["from"] == transition["to"]:
            transition.update(to=newest, after="", began=f"{time.time():.3f}")
        first, second = (listed_patients(opened, dataset, transition[end]) for end in ("from", "to"))
        present = second if transition["to"] == newest else listed_patients(opened, dataset, newest)
        if first is None or second is None or present is None:
            reason = f"a catalog of {dataset} is damaged; materialize series_catalog again"
            continue
        before, now = (
            {patient: fingerprint for patient, (fingerprint, _) in listed.items()}
            for listed in (first, second)
        )
        # A patient who has left again in the meantime never becomes a partition: waiting would last for ever.
        remaining = [
            patient
            for patient in changed_patients(before, now)
            if patient > transition["after"] and patient in present
        ]
        registered = context.instance.get_dynamic_partitions(PATIENT_PARTITIONS)
        known, requested = set(registered), dict[str, str]()
        for patient in remaining[:MAX_PER_TICK]:
            key = patient_partition(dataset, patient)
            if key not in known:
                # The other sensor comes first; this one continues at its next tick.
                reason = f"{key} is not a partition yet; waits for patient_partitions_sensor"
                break
            requested[key] = now[patient]
            transition["after"] = patient
        if len(requested) == len(remaining):
            transition.update({"from": transition["to"], "after": ""})
        if requested:
            groups = runs_of(list(requested), registered, batch_size())
            requests = [_request(dataset, group, requested, transition["began"]) for group in groups]
            return dg.SensorResult(run_requests=requests, cursor=json.dumps(transitions))
    return dg.SensorResult(skip_reason=reason, cursor=json.dumps(transitions))


def _request(
    dataset: str, group: Sequence[str], fingerprints: Mapping[str, str], began: str
) -> dg.RunRequest:
    """One run for patients that are neighbours among the partitions. Its key names them with their fingerprints."""
    named = content_version([[key, fingerprints[key]] for key in group])
    run_key = f"{group[0]}+{len(group) - 1}:{named}:{began}"
    tags = {DATASET_TAG: dataset, **tags_of(group)}
    return dg.RunRequest(run_key=run_key, partition_key=tags.pop(PARTITION_TAG, None), tags=tags)
