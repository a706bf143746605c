"""Everything in a store that came of one patient.

In: the store, a dataset, a patient. Out: Traces. Nothing is changed. Of the patients only this one's objects are
listed; of everything that is made of many patients all manifests are read.
"""

from pathlib import Path

from chestgan_core.forgetting.models import find_models
from chestgan_core.forgetting.own_things import boxes, catalogs, downloads, own_objects, slice_names
from chestgan_core.forgetting.publications import find_publications
from chestgan_core.forgetting.traces import ORDER, Traces
from chestgan_core.store.erasing import Versioning
from chestgan_core.store.store import Store


def find_traces(
    store: Store, dataset: str, patient: str, home: Path, versioning: Versioning = "none"
) -> Traces:
    """What came of a patient, in the order in which it is to be deleted.

    Args:
        store: Its keys need the right to list and read everything.
        dataset: Name of a dataset of DICOM.
        patient: As in keys; in a private dataset a keyed hash.
        home: The local folder, for downloads that were interrupted on this machine.
        versioning: Whether the bucket keeps deleted objects (`erasing.versioning_of`): these are found too then.

    Returns:
        What is to be deleted or withdrawn, and what remains and why.

    Raises:
        DamagedObject: A manifest cannot be read, so that nobody knows whether it came of the patient; names it.
        StoreError: The store refused, or did not answer.
    """
    of_catalogs, names = catalogs(store, dataset, patient)
    names = names.with_slices(slice_names(store, dataset, patient))
    own = own_objects(store, dataset, patient, versioning)
    known = bool(own or names.series)
    models = find_models(store, dataset, patient, known=known)
    find_publications(store, models, dataset, {patient, *names.series})
    found = [
        *models.traces,
        *boxes(store, dataset, patient, names),
        *own,
        *downloads(home, dataset, names.series),
        *of_catalogs,
    ]
    return Traces(
        traces=tuple(sorted(found, key=lambda one: (ORDER[one.kind], one.name))),
        remaining=tuple(models.remaining),
        series=names.series,
        training_sets=models.training_sets,
        experiments=tuple(sorted(models.experiments)),
        known=known or models.named,
    )
