"""The tags of runs that this project reads or writes."""

# Dagster's own, as the UI and its documentation name it.
PARTITION_TAG = "dagster/partition"

# What requested a run, and for which state: a state is never requested twice.
REQUEST_KEY_TAG = "chestgan/request_key"
DATASET_TAG = "chestgan/dataset"
HISTOLOGY_TAG = "chestgan/histology"
