"""Histology from a PatientID: the letter that Lung-PET-CT-Dx puts into it.

In: a PatientID. Out: the letter, or an empty text. It is the collection's diagnosis; labels elsewhere (boxes, reports)
never change it.
"""

import re

from chestgan_core.dicom.patient_ids import normal_patient_id

HISTOLOGIES = {
    "A": "adenocarcinoma",
    "B": "small cell carcinoma",
    "E": "large cell carcinoma",
    "G": "squamous cell carcinoma",
}
# PH-: phantoms, which follow the same pattern.
_PATIENT = re.compile(rf"(?:Lung_Dx|PH)-([{''.join(HISTOLOGIES)}])\d{{4}}")


def histology_of(patient_id: str) -> str:
    """The letter of `Lung_Dx-A0001`, a key of HISTOLOGIES; empty for every other form of id."""
    letter = _PATIENT.fullmatch(normal_patient_id(patient_id))
    return letter[1] if letter else ""
