"""Candidates of made-up patients, without pixels."""

import hashlib

from chestgan_core.slices.candidates import Candidate
from chestgan_core.slices.shards import SliceRow


def unlike(name: str) -> str:
    """A hash far from that of every other name."""
    return hashlib.sha256(name.encode()).hexdigest()


def slices(patient: str, count: int, histology: str = "A", folder: str = "1.2") -> list[Candidate]:
    return [
        Candidate(
            patient,
            index,
            SliceRow(
                patient,
                histology,
                folder,
                f"{patient}.{index}",
                3.0 * index,
                0.3,
                2.0,
                phash=unlike(f"{patient} {index}"),
                stored_rows=64,
                stored_columns=64,
                crop_rows=64,
                crop_columns=64,
            ),
        )
        for index in range(count)
    ]


def cohort(patients: int = 20, each: int = 5, letters: str = "A") -> list[Candidate]:
    return [
        candidate
        for number in range(patients)
        for candidate in slices(f"patient-{number:02d}", each, letters[number % len(letters)])
    ]
