"""What no command on a store can do: copies elsewhere, the same person under another name, what is to be made again.

In: what was found. Out: sentences for the operator and the record, without names of patients.
"""

from chestgan_core.config.dataset import Dataset, dataset_named
from chestgan_core.config.names import dataset_files, patient_partition
from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.forgetting.traces import Kind, Traces
from chestgan_core.sources.catalog.stored_catalog import newest_catalog_version, read_patients
from chestgan_core.store.erasing import Versioning
from chestgan_core.store.store import Store


def unreachable(dataset: Dataset, found: Traces, versioning: Versioning) -> list[str]:
    """What the operator has to see to."""
    kinds = {trace.kind for trace in found.traces}
    said = [_source_of(dataset)]
    if Kind.SET in kinds:
        said.append(
            "copies of the sets that others have fetched, converted or exported (DICOM, NPZ, STOW-RS): tell those who "
            "have them; the sha256 of each image is in labels.parquet of the withdrawn set"
        )
    if Kind.STUDY in kinds:
        said.append(
            "offline files of reader studies that readers have; the portal, which keeps the pictures of an open study "
            "in memory until it is restarted; answers in its database, which hold no pictures"
        )
    said.append(
        "the history of Dagster, whose events have small pictures of slices, unless forget_patient_job is run: it "
        "wipes them; the logs of steps and the lists of backfills, which name the patient as the keys do"
    )
    said.append(
        "other machines: CHESTGAN_HOME/scratch and spool of steps that were killed, files that chestgan get, normalize "
        "or train wrote, the database of hyperparameter studies (numbers only)"
    )
    said.append(
        "the disks of the store, which free deleted objects in time only (SeaweedFS when it compacts a volume), its "
        "backups and replicas" + _VERSIONS[versioning]
    )
    said.append(
        "the same person under another id, or in another dataset: each has a key of its own, so forget each of them"
    )
    return said


_VERSIONS: dict[Versioning, str] = {
    "none": "; the bucket keeps no versions of deleted objects",
    "kept": "; the versions that the bucket keeps of these objects were deleted too",
    "unknown": "; whether the bucket keeps versions of deleted objects could not be asked (s3:GetBucketVersioning)",
}


def _source_of(dataset: Dataset) -> str:
    if dataset.private:
        return (
            "the files in the folder of the dataset: delete them there; they are not read again in any case"
        )
    return f"the source of the dataset ({dataset.source.kind}): it still has the series; they are not fetched again"


def requested(dataset: str, found: Traces) -> list[str]:
    """What is to be materialized, in this order."""
    if not found.training_sets:
        return []
    asked = [f"training_set of {dataset}: without the patient"]
    asked += [
        f"generator_checkpoint of {name}: trained on it, then its report and set"
        for name in found.experiments
    ]
    kinds = {trace.kind for trace in found.traces}
    if Kind.MONTH in kinds:
        months = sorted({one.name.split("/")[0] for one in found.traces if one.kind is Kind.MONTH})
        asked.append(f"monthly_report of {', '.join(months)}")
    if Kind.COMPARISON in kinds:
        asked.append("architecture_comparison and tuning_comparison")
    if Kind.LEADERBOARD in kinds:
        asked.append("leaderboard")
    return asked


def same_name_elsewhere(store: Store, dataset: str, patient: str) -> list[str]:
    """`<dataset>:<patient>` of other datasets whose newest catalog has a patient of this name.

    Two public datasets may be of one collection; two private ones name a PatientID alike where they share the key.
    """
    found = []
    for other in sorted(dataset_files()):
        if other == dataset:
            continue
        try:
            if not dataset_named(other).has_hounsfield:
                continue
            listed = read_patients(store, other, newest_catalog_version(store, other))
        except (BadInput, DamagedObject, NotInStore):
            continue
        if patient in listed:
            found.append(patient_partition(other, patient))
    return found
