"""Which patient is meant: a key as people and Dagster write it, or a PatientID that only the operator knows.

In: `<dataset>:<patient>`, or a dataset and a PatientID. Out: the dataset and the name of the patient in keys.
"""

import os
from pathlib import Path

from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.config.names import parse_patient_partition, patient_partition
from chestgan_core.dicom.pseudonyms import KEY_FILE, KEY_VARIABLE, pseudonyms_of
from chestgan_core.errors import BadInput, DamagedObject, NotInStore, UnknownName, nearest
from chestgan_core.forgetting.traces import Traces
from chestgan_core.sources.catalog.stored_catalog import newest_catalog_version, read_patients
from chestgan_core.store.store import Store


def patient_named(key: str) -> tuple[Dataset, str]:
    """Of `<dataset>:<patient>`. Raises UnknownName (no such dataset), BadInput (no key, or images without patients)."""
    if ":" not in key:
        raise BadInput("the patient", "is not written as DATASET:PATIENT", "see the partitions of raw_dicom")
    dataset, patient = parse_patient_partition(key)
    return _of_dicom(dataset), patient


def patient_of_id(dataset_name: str, patient_id: str, home: Path) -> tuple[Dataset, str]:
    """Of a PatientID as it is in the files of a dataset. In a private one, the key that made the names must be here.

    Raises UnknownName (no such dataset), BadInput (no id, or no key of the pseudonyms: a new one would name somebody
    else).
    """
    dataset = _of_dicom(dataset_name)
    if not patient_id.strip():
        raise BadInput("the PatientID", "is empty", "write it on standard input, one line")
    if dataset.private and KEY_VARIABLE not in os.environ and not (home / KEY_FILE).is_file():
        raise BadInput(
            home / KEY_FILE,
            f"is not here, so nobody can tell which patient of {dataset.name} this is",
            f"run it on the machine that made the catalog, or set {KEY_VARIABLE}",
        )
    return dataset, pseudonyms_of(dataset, home).patient(patient_id)


def require_known(store: Store, dataset: Dataset, patient: str, found: Traces) -> None:
    """Raises UnknownName, with the names most like it: nothing in the store is of this patient."""
    if found.known:
        return
    try:
        known = list(read_patients(store, dataset.name, newest_catalog_version(store, dataset.name)))
    except (NotInStore, DamagedObject):
        known = []
    key = patient_partition(dataset.name, patient)
    raise UnknownName(
        key,
        "is not in the store: no catalog lists this patient",
        nearest(key, [patient_partition(dataset.name, one) for one in known]),
    )


def _of_dicom(name: str) -> Dataset:
    dataset = dataset_named(name)
    if not dataset.has_hounsfield:
        raise BadInput(
            name,
            "is a dataset of pictures, which are stored by class and not by patient",
            "remove the pictures from its source and materialize raw_images, then what was made of them; withdraw its "
            "sets with chestgan sets withdraw",
        )
    return dataset
