"""What a private dataset publishes of its split: who is on which side, under names that nobody can join with others.

In: rows with the pseudonyms of the store. Out: the same rows under names of this training set alone.

- The pseudonyms of the store are keyed hashes already. They are hashed once more together with the version of the
  training set: the same patient has another name in the next set, so two published sets do not tell who is in both, and
  nobody with access to logs or keys of the store finds a name there. Who has the patient key finds everybody again.
- Kernel, manufacturer, thickness, number of files and location stay empty: in one hospital a scanner with a thickness
  may be that of a single person, on a day that somebody remembers.
- The hash of what the slices look like stays empty: without a key, whoever has the images of a person could compute it
  and learn that this person is in the set. That of the UIDs stays, as these are keyed hashes.
- Classes with fewer than FEWEST patients on a side are not named on that side: three people with a rare histology in
  a known hospital are nearly named. Where only one class would be unnamed, and of fewer people, the next smallest goes
  with it, as it would follow from the others.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from chestgan_core.slices.splits import SIDES

if TYPE_CHECKING:
    from chestgan_core.publishing.split.row import SplitRow

FEWEST = 5
"""Patients, from which on a number of them is published."""
PRIVATE = "private"
"""The source of a row whose files nobody else can fetch."""
_DIGITS = 24


def published_name(kind: str, name: str, training_set: str) -> str:
    """The name that a patient, series or stack of a private dataset has in the split of one training set.

    kind: `patient`, `series` or `stack`. name: the pseudonym of the store. training_set: version.
    """
    digest = hashlib.sha256(f"split:{training_set}:{kind}:{name}".encode()).hexdigest()
    return f"{kind[0].upper()}{digest[:_DIGITS]}"


def without_identity(rows: "Sequence[SplitRow]", training_set: str) -> "list[SplitRow]":
    """The rows as they may be published. training_set: version."""
    unnamed = {side: _rare([row for row in rows if row.side == side]) for side in SIDES}
    return [
        replace(
            row,
            patient=published_name("patient", row.patient, training_set),
            series=published_name("series", row.series, training_set),
            stack=published_name("stack", row.stack, training_set) if row.stack else "",
            class_name="" if row.class_name in unnamed[row.side] else row.class_name,
            kernel="",
            manufacturer="",
            thickness_mm=0.0,
            looks_sha256="",
            files=0,
            bytes=0,
            source=PRIVATE,
            location="",
            revision="",
        )
        for row in rows
    ]


def _rare(rows: "Sequence[SplitRow]") -> set[str]:
    """The classes that are not named on one side."""
    pairs = {(row.class_name, row.patient) for row in rows}
    patients = Counter(name for name, _ in pairs)
    rare = {name for name, count in patients.items() if count < FEWEST}
    if (
        rare
        and len(patients) > len(rare)
        and (len(rare) == 1 or sum(patients[name] for name in rare) < FEWEST)
    ):
        rare.add(
            min((name for name in patients if name not in rare), key=lambda name: (patients[name], name))
        )
    return rare
