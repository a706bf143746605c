"""Groups of patients of a report: who is in which, how well each is covered, and whether one is worse than the rest.

In: the sides of a comparison, whose real images have rows, and their features. Out: a GroupBlock. Groups of fewer than
FEWEST held-out patients become one, so that no group names a person; single patients have numbers in random order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chestgan_core.evaluation.scoring.group_block import (
    FEWEST,
    OTHERS,
    UNKNOWN,
    Group,
    GroupBlock,
    Grouping,
    GroupSide,
    Worse,
)
from chestgan_core.evaluation.scoring.sides import Sides
from chestgan_core.evaluation.scoring.tumour_block import Estimate
from chestgan_core.metrics.groups import (
    Estimated,
    Mask,
    Surroundings,
    group_measures,
    rest_of,
    surroundings,
    worse_by_chance,
)
from chestgan_core.metrics.precision_recall import NEIGHBOURS
from chestgan_core.slices.groups import GroupKind, group_labels, in_order

Features = NDArray[np.float32]
# More patients are not told apart one by one.
MAX_SINGLE = 200
SHOWN_AT = 0.05


def measure_groups(
    sides: Sides, features: Mapping[str, Features], extractor: str, seed: int, hounsfield: bool
) -> GroupBlock | None:
    """The groups of the held-out patients, and beside them those of the patients trained on.

    Args:
        sides: With the rows of the real images.
        features: role (real, synthetic, other) -> (n, d).
        extractor: id of the network of the features.
        seed: Of draws of patients, of random groups, and of the numbers of patients.
        hounsfield: Whether the images are CT; of pictures only the class is known.

    Returns:
        The block; None without rows, or with a single held-out patient.
    """
    held_out = sides.held_out
    patients = np.array(held_out.patients)
    if not held_out.rows or len(set(held_out.patients)) < 2:
        return None
    labels = group_labels(held_out.rows, hounsfield)
    groups_of: dict[GroupKind, list[str]] = {}
    not_compared: dict[str, str] = {}
    for kind, found in labels.items():
        merged = merged_groups(found, held_out.patients)
        if set(merged) == {UNKNOWN}:
            not_compared[kind] = "not known"
        elif len(set(merged) - {UNKNOWN}) < 2:
            not_compared[kind] = f"one group only, or all others of fewer than {FEWEST} patients"
        else:
            groups_of[kind] = merged
    around = surroundings(
        features["real"], features["synthetic"], held_out.patients, list(groups_of.values())
    )
    trained = _Trained(sides, features, groups_of, hounsfield)
    groupings, masks = [], []
    for kind, merged in groups_of.items():
        names = _ordered(merged)
        masks.append([np.array(merged) == name for name in names])
        groups = tuple(
            Group(name, _side(around, members, patients, seed), trained.side(kind, name, seed))
            for name, members in zip(names, masks[-1], strict=True)
        )
        groupings.append(Grouping(kind, groups))
    comparisons, worse = _worse(around, groupings, masks, seed)
    groupings = [
        replace(one, groups=tuple(group for group in one.groups if group.held_out.patients >= FEWEST))
        for one in groupings
    ]
    return GroupBlock(
        extractor=extractor,
        image_kind=sides.image_kind,
        patients=len(set(held_out.patients)),
        images=len(held_out.patients),
        groupings=tuple(groupings),
        single=_single(around, patients, seed) if hounsfield else (),
        not_compared=not_compared,
        comparisons=comparisons,
        worse=worse,
    )


def merged_groups(labels: Sequence[str], patients: Sequence[str]) -> list[str]:
    """The group of each image: its label or UNKNOWN, and OTHERS for those of fewer than FEWEST patients.

    Where OTHERS would be fewer than FEWEST patients itself, those of whom it is not known go with them, and then the
    next smallest group: who is left could be told by what the other groups are not. UNKNOWN may have fewer, as it says
    nothing of them.

    Examples:
        >>> people = [f"P{number}" for number in range(7)]
        >>> [name[:6] for name in merged_groups(["a", "a", "a", "a", "b", "c", "d"], people)]
        ['a', 'a', 'a', 'a', 'others', 'others', 'others']
        >>> [name[:6] for name in merged_groups(["a", "a", "a", "b", "c", "c", "c"], people)]  # b would be alone
        ['others', 'others', 'others', 'others', 'c', 'c', 'c']
    """
    found = [label or UNKNOWN for label in labels]
    people = {
        name: {who for one, who in zip(found, patients, strict=True) if one == name} for name in set(found)
    }
    unknown = people.pop(UNKNOWN, set())
    joined = {name for name, who in people.items() if len(who) < FEWEST}
    others = {who for name in joined for who in people[name]}
    if joined and unknown and len(others) < FEWEST:
        joined.add(UNKNOWN)
        others |= unknown
    for name in sorted(people.keys() - joined, key=lambda name: (len(people[name]), name)):
        if not joined or len(others) >= FEWEST:
            break
        joined.add(name)
        others |= people[name]
    return [OTHERS if name in joined else name for name in found]


class _Trained:
    """The images of the patients trained on, in the groups of the held-out ones."""

    def __init__(
        self,
        sides: Sides,
        features: Mapping[str, Features],
        groups_of: Mapping[GroupKind, Sequence[str]],
        hounsfield: bool,
    ) -> None:
        other = sides.other
        self._around: Surroundings | None = None
        if (
            other is None
            or not other.rows
            or len(set(other.patients)) < 2
            or len(other.patients) <= NEIGHBOURS
        ):
            return
        labels = group_labels(other.rows, hounsfield)
        self._groups: dict[GroupKind, NDArray[np.str_]] = {}
        for kind, merged in groups_of.items():
            known = set(merged)
            found = [label or UNKNOWN for label in labels[kind]]
            self._groups[kind] = np.array([name if name in known else OTHERS for name in found])
        self._around = surroundings(
            features["other"],
            features["synthetic"],
            other.patients,
            [one.tolist() for one in self._groups.values()],
        )
        self._patients = np.array(other.patients)

    def side(self, kind: GroupKind, name: str, seed: int) -> GroupSide | None:
        """None with fewer than FEWEST patients."""
        if self._around is None:
            return None
        members = self._groups[kind] == name
        if len(set(self._patients[members])) < FEWEST:
            return None
        return _side(self._around, members, self._patients, seed)


def _side(around: Surroundings, members: Mask, patients: NDArray[np.str_], seed: int) -> GroupSide:
    people, images = len(set(patients[members])), int(members.sum())
    found = group_measures(around, members, seed)
    if found is None:
        return GroupSide(people, images)
    return GroupSide(
        people,
        images,
        _estimate(found.kid),
        found.kid_floor,
        _estimate(found.coverage),
        _estimate(found.distance),
    )


def _single(around: Surroundings, patients: NDArray[np.str_], seed: int) -> tuple[Group, ...]:
    """Patients by numbers in random order, without those of too few images."""
    names = np.unique(patients)
    if len(names) > MAX_SINGLE:
        return ()
    order = np.random.default_rng(seed).permutation(len(names))
    groups = [
        Group(f"p{number}", _side(around, patients == names[at], patients, seed))
        for number, at in enumerate(order, 1)
    ]
    return tuple(group for group in groups if group.held_out.coverage is not None)


def _worse(
    around: Surroundings, groupings: Sequence[Grouping], masks: Sequence[Sequence[Mask]], seed: int
) -> tuple[int, tuple[Worse, ...]]:
    """How many comparisons were made, and the groups that are worse: by more than random groups would show, and with an
    interval apart from that of the rest.
    """
    found: list[Worse] = []
    comparisons = 0
    for grouping, of_kind, p_values in zip(
        groupings, masks, worse_by_chance(around, masks, seed), strict=True
    ):
        for group, members, p in zip(grouping.groups, of_kind, p_values, strict=True):
            side, rest = group.held_out, rest_of(around, members, seed)
            rest_patients = len(set(around.patients[~members].tolist()))
            if side.coverage is None or rest is None or min(side.patients, rest_patients) < FEWEST:
                continue
            if group.name in (OTHERS, UNKNOWN):  # what they have in common has no name
                continue
            comparisons += 2
            coverage, distance = (_estimate(one) for one in rest)
            shown: list[Worse] = []
            named = grouping.kind, group.name, side.patients
            if p[0] <= SHOWN_AT and coverage and _above(coverage, side.coverage):
                shown.append(Worse(*named, "coverage", side.coverage, coverage, float(p[0])))
            if p[1] <= SHOWN_AT and side.distance and distance and _above(side.distance, distance):
                shown.append(Worse(*named, "distance", side.distance, distance, float(p[1])))
            found += sorted(shown, key=lambda one: one.p)[:1]
    return comparisons, tuple(sorted(found, key=lambda one: one.p))


def _above(one: Estimate, other: Estimate) -> bool:
    """Whether the interval of one lies above that of the other."""
    return one.low is not None and other.high is not None and one.low > other.high


def _estimate(found: Estimated | None) -> Estimate | None:
    if found is None:
        return None
    low, high = found.interval or (None, None)
    return Estimate(found.value, low, high)


def _ordered(merged: Sequence[str]) -> list[str]:
    """As in_order; what is unknown and the others last."""
    names = set(merged)
    return [*in_order(sorted(names - {OTHERS, UNKNOWN})), *(one for one in (UNKNOWN, OTHERS) if one in names)]
