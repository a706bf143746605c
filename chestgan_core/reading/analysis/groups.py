"""Readers by what they said about themselves, in groups that name nobody.

In: AnswerTable. Out: Groups of three readers or more. Smaller ones are put together; where what is left could still be
told from the total, the next larger one goes with them, or the whole table is left out. Groups have no accuracy: from
the accuracies of single readers, which the result has, it would follow who is in which group.
"""

from collections import defaultdict

import numpy as np

from chestgan_core.reading.analysis.answer_table import AnswerTable
from chestgan_core.reading.analysis.result import Group
from chestgan_core.reading.answers import Reader

FEWEST = 3
NOT_SAID, OTHERS = "not said", "all others"
YEARS = ((5, "0 to 4"), (10, "5 to 9"), (20, "10 to 19"), (1000, "20 or more"))


def groups(table: AnswerTable) -> tuple[Group, ...]:
    """Of the readers with an answer that counts."""
    started = np.flatnonzero(table.given.any(axis=1))
    found: list[Group] = []
    for what in ("profession", "specialty", "years of experience"):
        members: dict[str, list[int]] = defaultdict(list)
        for at in started:
            members[_said(table.readers[at], what)].append(int(at))
        if set(members) == {NOT_SAID}:
            continue
        for name, those in _merged(members).items():
            found.append(Group(what=what, group=name, readers=len(those)))
    return tuple(found)


def _said(reader: Reader, what: str) -> str:
    if what == "years of experience":
        return NOT_SAID if reader.years is None else next(name for end, name in YEARS if reader.years < end)
    said = reader.profession if what == "profession" else reader.specialty
    return " ".join(said.split()).lower() or NOT_SAID


def _merged(members: dict[str, list[int]]) -> dict[str, list[int]]:
    ordered = sorted(members.items(), key=lambda one: (-len(one[1]), one[0]))
    shown = [(name, those) for name, those in ordered if len(those) >= FEWEST]
    rest = [at for _, those in ordered if len(those) < FEWEST for at in those]
    while rest and len(rest) < FEWEST and shown:
        rest += shown.pop()[1]
    if rest and len(rest) < FEWEST:
        return {}
    if not shown:
        return {}
    return dict(shown) | ({OTHERS: sorted(rest)} if rest else {})
