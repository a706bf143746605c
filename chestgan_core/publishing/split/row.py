"""One row of split.csv, and what its columns are made of. Imports nothing heavy: cards and portals read it.

In: numbers and names. Out: SplitRow, texts.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SplitRow:
    """One series of one patient on one side. An empty text and the number 0 mean unknown, or not published.

    side: `train` or `held-out`. patient, series: ids of a public collection; of a private one, names that only this set
    has. stack: where a series has several scans or reconstructions, which of them. class_name: histology, or class of
    pictures. slices: how many are used. numbers: which of the normalized slices of the series these are, counted from
    0: `0-11 14`. uids_sha256: of their SOP instance UIDs, a line each. looks_sha256: of their perceptual hashes, a line
    each; changes when a source replaces pixels under the same UIDs. files, bytes: of the whole series. licence, doi,
    citation: of the series, else of the dataset. source: kind of provider. location, revision: what that provider calls
    exactly this content.
    """

    side: str
    patient: str
    series: str
    stack: str
    class_name: str
    kernel: str
    manufacturer: str
    thickness_mm: float
    slices: int
    numbers: str
    uids_sha256: str
    looks_sha256: str
    files: int
    bytes: int
    licence: str
    doi: str
    citation: str
    source: str
    location: str
    revision: str


def lines_sha256(lines: Iterable[str]) -> str:
    """sha256, hex, over texts that each end with a line feed."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as text: [0, 1, 2, 5] -> `0-2 5`."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return " ".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


def patients_on_both_sides(rows: Iterable[SplitRow]) -> int:
    """0, or the split is broken."""
    sides = Counter(patient for patient, _ in {(row.patient, row.side) for row in rows})
    return sum(count > 1 for count in sides.values())
