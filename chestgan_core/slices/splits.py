"""Which patients are trained on and which are held out.

In: patient keys. Out: the two groups. Patients are split, never slices: neighbouring slices of one chest are near
copies, and a score on them would measure memory.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from chestgan_core.errors import BadInput

HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """Two disjoint groups of patient keys, each sorted."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]

    def side(self, patient: str) -> str:
        """`train` or `held-out`."""
        return "held-out" if patient in self.held_out else "train"


def split_patients(patients: Iterable[str]) -> Split:
    """Split by a hash of the patient key, so that a patient's side does not change when others arrive.

    About HELD_OUT_SHARE of the patients are held out. In a group so small that one side would be empty, the
    patient with the lowest (or highest) hash changes sides: only then can a newcomer move an older patient.
    Raises BadInput with fewer than two patients.
    """
    ranked = sorted(set(patients), key=_rank)
    if len(ranked) < 2:
        raise BadInput(
            "training set",
            f"has {len(ranked)} patient(s)",
            "give at least 2: one is held out for the evaluation",
        )
    cut = sum(_rank(patient) < HELD_OUT_SHARE for patient in ranked)
    cut = min(max(cut, 1), len(ranked) - 1)
    return Split(train=tuple(sorted(ranked[cut:])), held_out=tuple(sorted(ranked[:cut])))


def _rank(patient: str) -> float:
    """A uniform number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(b"split:" + patient.encode()).digest()[:8], "big") / 2**64
