"""New and revised series: the patients whose series differ between two catalogs are archived and normalized again.

In: the catalog that was dealt with last (the cursor) and the newest one. Out: run requests, a part at a time. The
first catalog of a dataset asks for nothing: the first load is a backfill that a person starts.
"""

import json
import time
from collections.abc import Mapping

import dagster as dg

from chestgan_assets.automation.patient_partitions import catalogued, listed_patients
from chestgan_assets.jobs.jobs import patient_slices
from chestgan_assets.partitions import PATIENT_PARTITIONS
from chestgan_assets.resources import StoreResource
from chestgan_core.config.dataset import patient_partition

AT_ONCE = 100


def changed_patients(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Patients of now who are new or whose fingerprint is another, sorted."""
    return sorted(patient for patient, fingerprint in now.items() if before.get(patient) != fingerprint)


@dg.sensor(
    job=patient_slices,
    minimum_interval_seconds=60,
    description="Asks for the patients with new or revised series, at most 100 a tick. Off until somebody turns it on.",
)
def new_series(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Asks for the patients with new or revised series, at most 100 a tick. Off until somebody turns it on.

    The cursor holds per dataset two catalog versions, the last patient asked for on the way between them, and when that
    way began. A run is asked for once per patient and way: a patient may get a content back that was revised before.
    """
    ways: dict[str, dict[str, str]] = json.loads(context.cursor or "{}")
    opened = store.open()
    said = "no catalog has new or revised series"
    for dataset, newest in catalogued(opened):
        way = ways.setdefault(dataset, {"from": newest, "to": newest, "after": "", "began": ""})
        if way["from"] == way["to"] == newest:
            continue
        if way["from"] == way["to"]:
            way.update(to=newest, after="", began=f"{time.time():.3f}")
        first, second = (listed_patients(opened, dataset, way[end]) for end in ("from", "to"))
        present = second if way["to"] == newest else listed_patients(opened, dataset, newest)
        if first is None or second is None or present is None:
            said = f"a catalog of {dataset} is damaged: materialize series_catalog again"
            continue
        before, now = ({p: told[0] for p, told in listed.items()} for listed in (first, second))
        # Who has left again in the meantime never becomes a partition: waiting would last for ever.
        left = [p for p in changed_patients(before, now) if p > way["after"] and p in present]
        registered = set(context.instance.get_dynamic_partitions(PATIENT_PARTITIONS))
        requests = []
        for patient in left[:AT_ONCE]:
            key = patient_partition(dataset, patient)
            if key not in registered:
                # The other sensor comes first; this one goes on at its next tick.
                said = f"{key} is no partition yet: waits for the sensor patient_partitions"
                break
            run_key = f"{key}:{now[patient]}:{way['began']}"
            requests.append(
                dg.RunRequest(run_key=run_key, partition_key=key, tags={"chestgan/dataset": dataset})
            )
            way["after"] = patient
        if len(requests) == len(left):
            way.update({"from": way["to"], "after": ""})
        if requests:
            return dg.SensorResult(run_requests=requests, cursor=json.dumps(ways))
    return dg.SensorResult(skip_reason=said, cursor=json.dumps(ways))
