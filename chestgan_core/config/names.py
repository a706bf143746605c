"""Names: which file has the experiment or the dataset of a name, and the partition keys of patients.

In: $CHESTGAN_EXPERIMENTS, $CHESTGAN_DATASETS, the shipped folders, the tuned experiments of this home. Out: name ->
path. No file is read and no model is built here: every process of the pipeline asks for the names when it loads.
"""

import os
from pathlib import Path

from chestgan_core.errors import BadExperiment, BadInput, UnknownName, nearest
from chestgan_core.local.home import home
from chestgan_core.store.keys import checked_name

SHIPPED_DATASETS = Path(__file__).parent / "datasets"
SHIPPED_EXPERIMENTS = Path(__file__).parent / "experiments"
TUNED_SUFFIX = "-tuned"  # of experiments that hyperparameter studies write
MAX_NAME_LENGTH = 63


def files_in(shipped: Path, variable: str, error: type[BadInput]) -> dict[str, Path]:
    """Name -> YAML file; a file in the folder that `variable` names hides a shipped one of the same name.

    Raises error when that is not a folder.
    """
    folders = [shipped]
    if own := os.environ.get(variable):
        if not Path(own).is_dir():
            raise error(variable, f"{own} is not a folder", "name the folder of your YAML files")
        folders.append(Path(own))
    return {
        path.stem: path
        for folder in folders
        for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)
    }


def dataset_files() -> dict[str, Path]:
    """Name -> YAML file; a file in $CHESTGAN_DATASETS hides a shipped one of the same name.

    Raises BadInput: $CHESTGAN_DATASETS does not name a folder.
    """
    return files_in(SHIPPED_DATASETS, "CHESTGAN_DATASETS", BadInput)


def experiment_files() -> dict[str, Path]:
    """Name -> YAML file. A file in $CHESTGAN_EXPERIMENTS hides a shipped one of the same name, and both hide a tuned
    one that was fetched from the store (tuning/tuned.py).

    Raises BadExperiment: $CHESTGAN_EXPERIMENTS is not a folder.
    """
    tuned = {path.stem: path for path in sorted(tuned_folder().glob("*.yaml"))}
    return {**tuned, **files_in(SHIPPED_EXPERIMENTS, "CHESTGAN_EXPERIMENTS", BadExperiment)}


def tuned_folder() -> Path:
    """The folder of tuned experiments that were fetched from the store; it may not exist."""
    return home() / "tuned-experiments"


def tuned_name(experiment: str) -> str:
    """The name of the tuned experiment; one that was tuned already keeps its name."""
    return experiment.removesuffix(TUNED_SUFFIX)[: MAX_NAME_LENGTH - len(TUNED_SUFFIX)] + TUNED_SUFFIX


def patient_partition(dataset: str, patient: str) -> str:
    """The partition key of one patient. Patients of all datasets are in one set of partitions."""
    return f"{dataset}:{patient}"


def parse_patient_partition(key: str) -> tuple[str, str]:
    """Dataset and patient of a partition key, which is <dataset>:<patient>. Raises UnknownName, BadInput."""
    dataset, _, patient = key.partition(":")
    files = dataset_files()
    if dataset not in files:
        raise UnknownName(key, f"{dataset} is not a known dataset", nearest(dataset, files))
    return dataset, checked_name(patient)
