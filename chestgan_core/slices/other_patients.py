"""The rule of every comparison with held-out slices: they are of other patients than those that were trained on.

In: the slices of both sides, with the patient of each. Out: nothing, or one line that says what they have in common.
Training, studies and reports all check it here. Patients are compared by their keys and slices by their content: the
same person may have two pseudonyms, and the same file two names.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chestgan_core.dicom.patient_ids import has_no_id
from chestgan_core.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Side:
    """images: N of any dtype and shape, both sides through the same window and at the same size; they are gone through
    once. patients: N keys.
    """

    images: "Iterable[NDArray[np.generic]]"
    patients: Sequence[str]


def require_other_patients(
    trained: Side,
    held_out: Side,
    what: str,
    of: str = "the training slices",
    remedy: str = "give slices of other patients",
) -> None:
    """Refuse sides that share patients or slices.

    Args:
        trained: What a generator is or was trained on.
        held_out: What it is judged by.
        what: The side that is to be replaced, as an error names it: "the held-out slices".
        of: The other side, as an error names it.
        remedy: What an error says to do.

    Raises:
        BadInput: A patient is on both sides or a slice is, under whatever name; or a slice names no patient, so that
            nothing is known.

    Examples:
        >>> trained, held_out = np.array([[0, 1], [2, 3]]), np.array([[4, 5]])
        >>> require_other_patients(Side(trained, ["A", "B"]), Side(held_out, ["C"]), "the held-out slices")
        >>> require_other_patients(Side(trained, ["A", "B"]), Side(held_out, ["B"]), "the held-out slices")
        Traceback (most recent call last):
        chestgan_core.errors.BadInput: the held-out slices: have 1 of their 1 patient(s) in common with the training ...
    """
    there = set(held_out.patients)
    if both := there & set(trained.patients) - {""}:
        cause = f"have {len(both)} of their {len(there)} patient(s) in common with {of}"
        raise BadInput(what, cause, remedy)
    if "" in there or "" in set(trained.patients):
        raise BadInput(what, f"cannot be told from {of}: there are slices without a patient", remedy)
    digests = {digest for digest in map(_digest, held_out.images) if digest is not None}
    if count := len({digest for digest in map(_digest, trained.images) if digest in digests}):
        cause = f"have {count} slice(s) in common with {of}, under other names of patients"
        raise BadInput(what, cause, remedy)
    if studies := [name for name in {*trained.patients, *held_out.patients} if has_no_id(name)]:
        log.warning(
            f"{what}: {len(studies)} patient(s) of them and of {of} have no id, and each study counts as one; nobody "
            "knows whether the same person is on both sides"
        )


class DistinctSlices:
    """The slices of one side, file by file: none is given twice, as it would count twice."""

    def __init__(self) -> None:
        self._files: dict[bytes, Path] = {}

    def add(self, path: Path, digests: Set[bytes]) -> None:
        """Refuse a slice of a patient that another file holds too. digests: of slice_digests. Raises BadInput."""
        if both := digests & self._files.keys():
            first = self._files[min(both)]
            remedy = "give each file once, and no two that share slices"
            raise BadInput(path, f"holds {len(both)} slice(s) that {first} holds too", remedy)
        self._files |= dict.fromkeys(digests, path)


def slice_digests(patients: Iterable[str], slices: "Iterable[NDArray[np.generic]]") -> set[bytes]:
    """Of each slice and its patient; none of slices of one value."""
    both = zip(patients, slices, strict=True)
    return {digest for patient, image in both if (digest := _digest(image, patient)) is not None}


def _digest(image: "NDArray[np.generic]", of: str = "") -> bytes | None:
    """Of the values, and of a name; None for an image of one value (air), which two patients may well share."""
    if not (image != image.flat[0]).any():
        return None
    digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16)
    if of:
        digest.update(of.encode())
    return digest.digest()
