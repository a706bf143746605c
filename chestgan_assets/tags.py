"""The tags of runs and assets that this project reads or writes, and the variables that say the same to a pod."""

# Dagster's own, as the UI and its documentation name it.
PARTITION_TAG = "dagster/partition"

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
