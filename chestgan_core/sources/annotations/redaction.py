"""The tumour annotations of a dataset without those of patients who have withdrawn.

In: a committed version. Out: a version without their boxes, series and slices, and the pointer moved to it where it
named the old one.
"""

from collections import Counter
from collections.abc import Collection

from chestgan_core.sources.annotations.boxes import Annotations, Defect
from chestgan_core.sources.annotations.stored import commit_annotations, open_annotations
from chestgan_core.store import keys
from chestgan_core.store.store import Store


def redact_boxes(
    store: Store, dataset: str, version: str, patients: Collection[str], sop: Collection[str]
) -> str:
    """Commit a copy without what belongs to these patients and slices; returns its version.

    Raises NotInStore, DamagedObject, StoreError.
    """
    artefact, old = open_annotations(store, dataset, version)
    boxes = tuple(box for box in old.boxes if box.patient not in patients and box.sop_uid not in sop)
    owner = {uid: patient for uid, patient in old.patient_of.items() if patient not in patients}
    defects: Counter[str] = Counter(old.defects)
    defects[str(Defect.FORGOTTEN)] += len(old.boxes) - len(boxes)
    copy = Annotations(
        boxes,
        dict(+defects),
        tuple(uid for uid in old.annotated_series if uid in owner),
        tuple(uid for uid in old.unsure_slices if uid in owner and uid not in sop),
        owner,
    )
    new = commit_annotations(store, dataset, copy, {
        name: value for name, value in artefact.manifest.items() if name != "objects"
    }).version  # fmt: skip
    store.change_pointer(
        keys.annotations_latest(dataset),
        lambda present: {**present, "version": new} if present.get("version") == version else present,
    )
    return new
