"""Which patients to train on, and which are held out.

In: patient keys with their stratum (the histology). Out: the two groups. Patients are split, never slices:
neighbouring slices of one chest are near copies, and a score on them would measure memorization.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chestgan_core.dicom.patient_ids import has_no_id
from chestgan_core.errors import BadInput

TRAIN, HELD_OUT = "train", "held-out"
SIDES = (TRAIN, HELD_OUT)
HELD_OUT_FRACTION = 0.2


@dataclass(frozen=True)
class Split:
    """Two disjoint groups of patient keys."""

    train: frozenset[str]
    held_out: frozenset[str]

    def side(self, patient: str) -> str:
        """`train` or `held-out`."""
        return HELD_OUT if patient in self.held_out else TRAIN


def split_patients(strata: Mapping[str, str], fraction: float = HELD_OUT_FRACTION) -> Split:
    """Split by a hash of the patient key, so that a patient's side does not change when others arrive.

    strata: patient -> stratum. About this fraction of the patients of each stratum is held out. Each stratum of two or
    more has patients on both sides: where the hashes alone would leave one side empty, the patient with the lowest
    hash is held out (or the one with the highest trained on). A patient alone in its stratum is trained on, because
    a class that is never trained on cannot be scored either.

    When patients arrive, only that one patient of a stratum whose hashes leave a side empty can change sides. With a
    fraction of 0.2 this affects a third of the strata of 5 patients, a tenth of those of 10, a hundredth of those of
    20. Raises BadInput with fewer than two patients.
    """
    if len(strata) < 2:
        raise BadInput(
            "training set",
            f"has {len(strata)} patient(s)",
            "give at least 2: one is held out for the evaluation",
        )
    members: defaultdict[str, list[str]] = defaultdict(list)
    for patient in sorted(strata, key=rank):
        members[strata[patient]].append(patient)
    held_out: set[str] = set()
    for ranked in members.values():
        held_out.update(_first(ranked, fraction) if len(ranked) > 1 else ())
    if (
        not held_out
    ):  # every patient is alone in its stratum; only one, as it is trained on once there is a pair
        held_out.add(min(strata, key=rank))
    return Split(train=frozenset(strata.keys() - held_out), held_out=frozenset(held_out))


def require_patient_ids(patients: Iterable[str], what: str) -> None:
    """Raises BadInput: the files of some of these patients have no PatientID, so that each of their studies counts as
    a patient, and one person with two studies could be on both sides. what: the object of the error.
    """
    studies = sum(map(has_no_id, patients))
    if studies:
        raise BadInput(
            what,
            f"{studies} studies have no PatientID, so that one person could be trained on and held out",
            "write an id into the files, or say that each study is another person (training_set: "
            "missing_patient_ids: by_study of the dataset)",
        )


def rank(patient: str) -> float:
    """A uniform number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(b"split:" + patient.encode()).digest()[:8], "big") / 2**64


def _first(ranked: list[str], fraction: float) -> list[str]:
    """Those whose rank is below the fraction; at least one, and not all."""
    below = sum(rank(patient) < fraction for patient in ranked)
    return ranked[: min(max(below, 1), len(ranked) - 1)]
