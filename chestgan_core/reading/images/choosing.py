"""Which images a study shows: equal numbers of both sides, spread over classes, patients and levels.

In: what is known of the real and of the synthetic images. Out: their numbers. Seeded; the same input gives the same
choice.
"""

import random
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chestgan_core.errors import BadInput
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.images.real_images import RealRow

LEVELS = 4  # parts of the lungs, from base to apex, that real images are spread over


class TooFewImages(BadInput):
    """A side has too few images for a design, with the numbers for whoever says it in other words.

    side: real or synthetic. there: images of that side; of the real ones, of how many `patients`, and `usable` of them
    at the most of one patient that the design allows. needed: warm-up included. images_per_side, max_per_patient: each
    would do by itself; None: no number would.
    """

    def __init__(
        self,
        design: StudyDesign,
        cause: str,
        remedy: str,
        *,
        side: Literal["real", "synthetic"],
        there: int,
        usable: int,
        needed: int,
        images_per_side: int,
        max_per_patient: int | None = None,
        patients: int = 0,
    ) -> None:
        super().__init__(f"study {design.name}", cause, remedy)
        self.side, self.there, self.usable, self.needed = side, there, usable, needed
        self.images_per_side, self.max_per_patient = images_per_side, max_per_patient
        self.patients = patients


@dataclass(frozen=True)
class Choice:
    """Indices into the real rows and into the synthetic images. The warm-up shows others than the main part."""

    real: tuple[int, ...]
    synthetic: tuple[int, ...]
    real_warm_up: tuple[int, ...]
    synthetic_warm_up: tuple[int, ...]


def choose(design: StudyDesign, real: Sequence[RealRow], synthetic: Sequence[str]) -> Choice:
    """Choose for a design. synthetic: the class of each image of the set, "" where it has no classes.

    Raises TooFewImages, a BadInput: too few on a side; says how many there are, how many are needed, and what would do.
    """
    count, warm_up = design.images_per_side, design.warm_up
    real_needed, synthetic_needed = count + ceil(warm_up / 2), count + warm_up // 2
    _require_real(design, real, real_needed)
    if len(synthetic) < synthetic_needed:
        what = f"{count} and {warm_up // 2} to warm up" if warm_up else f"{count}"
        would_do = max(len(synthetic) - warm_up // 2, 0)
        raise TooFewImages(
            design,
            f"set {design.set_name} has {len(synthetic)} images; {synthetic_needed} are needed ({what})",
            f"lower images_per_side to {would_do}, or publish a larger set",
            side="synthetic",
            there=len(synthetic),
            usable=len(synthetic),
            needed=synthetic_needed,
            images_per_side=would_do,
        )
    draw = random.Random(f"{design.name} {design.set_name} {design.set_version} {design.seed}")  # noqa: S311
    side = _RealSide(real, design.max_per_patient, draw)
    quotas = _quotas(count, side.available(), Counter(filter(None, synthetic)))
    main = side.take(quotas, count)
    warm_up_real = side.take({}, real_needed - count)
    wanted = Counter(real[index].image_class for index in main) if any(synthetic) else Counter()
    own = _synthetic(synthetic, wanted, count, draw)
    left = sorted(set(range(len(synthetic))) - set(own))
    return Choice(
        real=tuple(main),
        synthetic=tuple(own),
        real_warm_up=tuple(warm_up_real),
        synthetic_warm_up=tuple(draw.sample(left, synthetic_needed - count)),
    )


def _require_real(design: StudyDesign, real: Sequence[RealRow], needed: int) -> None:
    """Raises TooFewImages, with the numbers that would do."""
    patients = Counter(row.patient for row in real)
    usable = sum(min(found, design.max_per_patient) for found in patients.values())
    if usable >= needed:
        return
    there = f"has {len(real)} real images of {len(patients)} patient(s)"
    used = f", {usable} of them with at most {design.max_per_patient} of each" if usable < len(real) else ""
    warm_up = needed - design.images_per_side
    more = f" ({design.images_per_side} and {warm_up} to warm up)" if warm_up else ""
    would_do, limit = max(usable - warm_up, 0), None
    remedy = f"lower images_per_side to {would_do}"
    if len(real) >= needed:
        limit = next(
            limit
            for limit in range(design.max_per_patient, len(real) + 1)
            if sum(min(found, limit) for found in patients.values()) >= needed
        )
        remedy += f", or raise max_per_patient to {limit}"
    else:
        remedy += ", or train with more patients held out"
    cause = f"set {design.set_name} {there}{used}; {needed} are needed{more}"
    raise TooFewImages(
        design,
        cause,
        remedy,
        side="real",
        there=len(real),
        usable=usable,
        needed=needed,
        images_per_side=would_do,
        max_per_patient=limit,
        patients=len(patients),
    )


class _RealSide:
    """Real images that are not taken yet, at most so many of one patient."""

    def __init__(self, rows: Sequence[RealRow], max_per_patient: int, draw: random.Random) -> None:
        self._limit = max_per_patient
        self._indices = draw.sample(range(len(rows)), len(rows))  # of equally good ones the first is taken
        shuffled = [rows[index] for index in self._indices]
        self._classes = np.array([row.image_class for row in shuffled], dtype=np.str_)
        self._patients = _numbered([row.patient for row in shuffled])
        self._levels = _numbered([(row.image_class, _part(row.level)) for row in shuffled])
        self._is_left = np.ones(len(rows), dtype=np.bool_)
        self._of_patient = np.zeros(len(rows) + 1, dtype=np.int64)
        self._of_level = np.zeros(len(rows) + 1, dtype=np.int64)

    def available(self) -> dict[str, int]:
        """Class -> how many could be taken of it."""
        pairs = Counter(zip(self._classes.tolist(), self._patients.tolist(), strict=True))
        classes: Counter[str] = Counter()
        for (name, _), found in pairs.items():
            classes[name] += min(found, self._limit)
        return dict(classes)

    def take(self, quotas: Mapping[str, int], count: int) -> list[int]:
        """So many of each class, and where these do not suffice, of any."""
        taken: list[int] = []
        for name, quota in sorted(quotas.items()):
            taken += self._take(quota, self._classes == name)
        return taken + self._take(count - len(taken), np.ones_like(self._is_left))

    def _take(self, count: int, fitting: NDArray[np.bool_]) -> list[int]:
        """Each time one of a patient, then of a level, that has been taken least."""
        taken: list[int] = []
        while len(taken) < count:
            of_patient = self._of_patient[self._patients]
            free = np.flatnonzero(fitting & self._is_left & (of_patient < self._limit))
            if not len(free):
                break
            so_far = of_patient[free] * (len(self._indices) + 1) + self._of_level[self._levels[free]]
            best = free[int(so_far.argmin())]
            self._is_left[best] = False
            self._of_patient[self._patients[best]] += 1
            self._of_level[self._levels[best]] += 1
            taken.append(self._indices[best])
        return taken


def _numbered(values: Sequence[Hashable]) -> NDArray[np.int64]:
    """Equal values as equal numbers from 0."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def _part(level: float | None) -> int:
    return -1 if level is None else min(int(level * LEVELS), LEVELS - 1)


def _quotas(count: int, real: Mapping[str, int], synthetic: Mapping[str, int]) -> dict[str, int]:
    """Images of each class on each side: as equal as what is there on both sides allows. A set without classes is
    compared with all classes alike.
    """
    there = {name: min(found, synthetic.get(name, 0)) if synthetic else found for name, found in real.items()}
    quotas = dict.fromkeys(sorted(there), 0)
    while sum(quotas.values()) < count:
        free = [name for name in quotas if quotas[name] < there[name]]
        if not free:
            break
        quotas[min(free, key=lambda name: (quotas[name], name))] += 1
    return quotas


def _synthetic(
    classes: Sequence[str], wanted: Mapping[str, int], count: int, draw: random.Random
) -> list[int]:
    """Of each class as many as are wanted and there; the rest of any class."""
    shuffled = draw.sample(range(len(classes)), len(classes))
    taken: list[int] = []
    for name, number in sorted(wanted.items()):
        taken += [index for index in shuffled if classes[index] == name][:number]
    chosen = set(taken)
    left = [index for index in shuffled if index not in chosen]
    return taken + left[: count - len(taken)]
