"""The tags of runs and assets that this project reads or writes, and the variables that say the same to a pod."""

from collections.abc import Mapping

# Dagster's own, as the UI and its documentation name it.
PARTITION_TAG = "dagster/partition"
# Those of a run for several partitions: the first and the last, in the order in which they were registered.
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
# A run that goes on where another one failed: by the daemon, and by a person ("from failure").
RETRY_TAG = "dagster/retry_number"
RESUMED_TAGS = ("dagster/is_resume_retry", "dagster/is_asset_resume_retry")

# Variables of pods. dagster-k8s sets the first for runs and steps, the second for steps; the executor (pods.py) sets
# the third, so that a step's pod knows its partition before it has loaded any code.
JOB_OF_POD = "DAGSTER_RUN_JOB_NAME"
STEP_OF_POD = "DAGSTER_RUN_STEP_KEY"
STEP_PARTITION = "CHESTGAN_STEP_PARTITION"

# Which runs share a limit, in dagster.yaml: key `chestgan/work`. Small runs are not limited, and go first in the queue.
WORK_TAG = "chestgan/work"
PRIORITY_TAG = "dagster/priority"
PATIENT_WORK = {WORK_TAG: "patient", PRIORITY_TAG: "-1"}
STUDY_WORK = {WORK_TAG: "study", PRIORITY_TAG: "-1"}
SMALL_WORK = {WORK_TAG: "small", PRIORITY_TAG: "1"}

# What requested a run, and for which state: a state is never requested twice.
REQUEST_KEY_TAG = "chestgan/request_key"
DATASET_TAG = "chestgan/dataset"
HISTOLOGY_TAG = "chestgan/histology"
PATIENTS_TAG = "chestgan/patients"  # which of them a backfill is for: a range, a maximum number

# Tags of assets: what they hold, so that the catalog of the UI can be searched for what is confidential.
PATIENT_IMAGES = {"chestgan/content": "patient-images"}
PATIENT_DATA = {"chestgan/content": "patient-data"}  # no pixels
MODEL_WEIGHTS = {"chestgan/content": "model-weights"}
REPORT = {"chestgan/content": "report"}
SYNTHETIC_IMAGES = {"chestgan/content": "synthetic-images"}


def partitions_in_words(tags: Mapping[str, str]) -> str:
    """The partition of a run with these tags, or its first and last one; "" where it has none."""
    if RANGE_START_TAG in tags:
        return f"{tags[RANGE_START_TAG]}...{tags.get(RANGE_END_TAG, '')}"
    return tags.get(PARTITION_TAG, "")
