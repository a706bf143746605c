"""The partitions: datasets (static, one per YAML file), patients (dynamic, registered by a sensor), experiments
(static), months (UTC, from January 2026 to the current one).

Experiments are YAML files: shipped, your own, or written by a hyperparameter study, which tuned_experiments_sensor
brings from the store. To load asks nobody, and validates no file again that was validated before. A file that cannot
be used is left out, and load_faults.py says so.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import dagster as dg

from chestgan_assets.load_faults import left_out
from chestgan_assets.tags import JOB_OF_POD, STEP_OF_POD, STEP_PARTITION
from chestgan_core.config.names import TUNED_SUFFIX, dataset_files, experiment_files
from chestgan_core.config.validated_files import ValidatedFiles

if TYPE_CHECKING:
    from chestgan_core.config.dataset import Dataset
    from chestgan_core.config.experiment import Experiment

_Known = TypeVar("_Known")
_Loaded = TypeVar("_Loaded")


class Files(Mapping[str, _Loaded]):
    """Name -> what its file says, for files that could be used when the code location loaded. A file is read when it is
    asked for, and again when it has changed; its fault is raised then.
    """

    def __init__(self, files: Mapping[str, Path], load: Callable[[Path], _Loaded]) -> None:
        self._files, self._load = files, load
        self._read: dict[str, tuple[int, _Loaded]] = {}

    def __getitem__(self, name: str) -> _Loaded:
        path = self._files[name]
        changed = path.stat().st_mtime_ns if path.is_file() else 0
        if self._read.get(name, (-1,))[0] != changed:
            self._read[name] = changed, self._load(path)
        return self._read[name][1]

    def __contains__(self, name: object) -> bool:
        return name in self._files  # without reading it, as a Mapping would

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _usable(files: Mapping[str, Path], known: Callable[[Path], _Known]) -> dict[str, _Known]:
    """Name -> what has to be known of its file. A file that cannot be used is left out: it must not break the load."""
    usable = {}
    for name, path in files.items():
        with left_out(path):
            dg.StaticPartitionsDefinition([name])  # raises where Dagster takes no such key
            usable[name] = known(path)
    return usable


def _load_dataset(path: Path) -> "Dataset":
    from chestgan_core.config.dataset import load_dataset

    return load_dataset(path)


def _load_experiment(path: Path) -> "Experiment":
    from chestgan_core.config.experiment import load_experiment

    return load_experiment(path)


def _unusable_folders() -> list[str]:
    """The variables that name no folder of a person's own files."""
    unusable = []
    for variable, files in (("CHESTGAN_DATASETS", dataset_files), ("CHESTGAN_EXPERIMENTS", experiment_files)):
        usable = False
        with left_out(variable, "none of its files is loaded"):
            files()
            usable = True
        if not usable:
            unusable.append(variable)
    return unusable


def _fetch_own_partition() -> None:
    """In a new pod, which has no tuned experiments: ask the store where its partition is one, so that Dagster knows it.

    The pod of a step is told its partition. One in which a whole run is executed is not, and asks for all.
    """
    if STEP_OF_POD in os.environ:
        own = os.environ.get(STEP_PARTITION, "")
        unknown = own.endswith(TUNED_SUFFIX) and ":" not in own and own not in experiment_files()
    else:
        unknown = JOB_OF_POD in os.environ and os.environ.get("CHESTGAN_EXECUTOR") != "k8s"
    if unknown and os.environ.get("CHESTGAN_STORE"):
        from chestgan_core.store.store import Store
        from chestgan_core.tuning.tuned import fetch_tuned

        with left_out("CHESTGAN_STORE", "tuned experiments are those of this home"):
            fetch_tuned(Store.open(fail_fast=STEP_OF_POD not in os.environ))


@contextmanager
def _without(variables: Sequence[str]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in variables}
    try:
        yield
    finally:
        os.environ.update(kept)


# Only while loading: a step that needs a file of such a folder fails, instead of using a shipped one of the same name.
with _without(_unusable_folders()):
    _fetch_own_partition()
    _validated = ValidatedFiles.read()
    _dataset_files, _experiment_files = dataset_files(), experiment_files()
    _datasets = _usable(_dataset_files, _validated.dataset)
    _experiments = _usable(_experiment_files, _validated.experiment)
    _validated.write()
DATASETS = Files({name: _dataset_files[name] for name in _datasets}, _load_dataset)
EXPERIMENTS = Files({name: _experiment_files[name] for name in _experiments}, _load_experiment)
EXPERIMENT_DATASETS = {name: one.dataset for name, one in _experiments.items()}
DICOM = sorted(name for name, one in _datasets.items() if one.has_hounsfield)
IMAGES = sorted(name for name, one in _datasets.items() if not one.has_hounsfield)
ANNOTATED = sorted(name for name, one in _datasets.items() if one.annotated)

datasets = dg.StaticPartitionsDefinition(sorted(DATASETS))
dicom_datasets = dg.StaticPartitionsDefinition(DICOM)
image_datasets = dg.StaticPartitionsDefinition(IMAGES)
annotated_datasets = dg.StaticPartitionsDefinition(ANNOTATED)
PATIENT_PARTITIONS = "patient"  # their name in the instance
patients = dg.DynamicPartitionsDefinition(name=PATIENT_PARTITIONS)
experiments = dg.StaticPartitionsDefinition(sorted(EXPERIMENTS))
months = dg.MonthlyPartitionsDefinition(start_date="2026-01", fmt="%Y-%m", end_offset=1)


def same_dataset(upstream: list[str], downstream: list[str]) -> dg.StaticPartitionMapping:
    """Each dataset to itself, where it is a partition of both assets."""
    return dg.StaticPartitionMapping({name: [name] for name in upstream if name in downstream})


# For a dependency on partitions of which Dagster cannot say which ones they are: the patients of one dataset, what a
# month contains. With all partitions instead, each new patient, catalog or report of any dataset would mark everything
# downstream as "Unsynced". What is new is known elsewhere: by new_series_sensor (catalogs), retraining_sensor (slices).
NO_PARTITION = dg.SpecificPartitionsPartitionMapping([])

dataset_to_experiments = dg.StaticPartitionMapping(
    {dataset: [name for name, of in EXPERIMENT_DATASETS.items() if of == dataset] for dataset in DATASETS}
)
