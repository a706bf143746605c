"""Slices along the body: which lie at one position, which run in one direction, which groups follow each other.

In: headers of slices. Out: groups of them. Positions are mm along the normal of the slices.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from chestgan_core.dicom.headers import SliceHeader

SAME_POSITION_MM = 0.01
LATEST_STACKS = 64

Slices: TypeAlias = list[SliceHeader]


def by_place(headers: Iterable[SliceHeader]) -> list[Slices]:
    """The slices of each position, from the lowest to the highest."""
    places: list[Slices] = []
    for one in sorted(headers, key=lambda one: one.position_mm):
        if places and one.position_mm - places[-1][0].position_mm <= SAME_POSITION_MM:
            places[-1].append(one)
        else:
            places.append([one])
    return places


def most_at_one_place(headers: Iterable[SliceHeader]) -> int:
    """How many slices the most frequent position has."""
    return max(map(len, by_place(headers)), default=0)


def cut_into_runs(ordered: Slices) -> list[Slices]:
    """Cut where a position comes again or the direction of travel turns."""
    runs: list[Slices] = []
    direction = 0.0
    for one in ordered:
        step = one.position_mm - runs[-1][-1].position_mm if runs else 0.0
        stays = abs(step) <= SAME_POSITION_MM
        if not runs or stays or (direction and step * direction < 0):
            runs.append([one])
            direction = 0.0
        else:
            direction = direction or step
            runs[-1].append(one)
    return runs


def joined(groups: list[Slices]) -> list[Slices]:
    """Each group joined to the latest stack before it that it does not overlap along the body."""
    extents_of_all = sorted(map(_extent, groups))
    if all(low > high + SAME_POSITION_MM for (_, high), (low, _) in pairwise(extents_of_all)):
        return [[one for group in groups for one in group]]
    stacks: list[_Growing] = []
    for group in groups:
        # Not all of them: a series with thousands of groups at one position would take hours.
        for stack in reversed(stacks[-LATEST_STACKS:]):
            if stack.takes(group):
                break
        else:
            stacks.append(_Growing([_extent(group)], _extent(group), list(group)))
    return [stack.members for stack in stacks]


@dataclass
class _Growing:
    """extents: lowest and highest position of each group in it, mm. hull: of all of them."""

    extents: list[tuple[float, float]]
    hull: tuple[float, float]
    members: Slices

    def takes(self, group: Slices) -> bool:
        """Joins the group if it overlaps with no other."""
        low, high = _extent(group)
        beyond = _disjoint((low, high), self.hull) or all(_disjoint((low, high), one) for one in self.extents)
        if beyond:
            self.extents.append((low, high))
            self.hull = min(low, self.hull[0]), max(high, self.hull[1])
            self.members += group
        return beyond


def _disjoint(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[1] + SAME_POSITION_MM < other[0] or one[0] > other[1] + SAME_POSITION_MM


def _extent(headers: Slices) -> tuple[float, float]:
    positions = [one.position_mm for one in headers]
    return min(positions), max(positions)
