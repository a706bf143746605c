"""What the held-out patients of an experiment can show: the floor, and the smallest difference of KID.

In: the slices of both sides, a feature network. Out: HeldOutFacts. Generators do not exist yet; in their place stand
training slices that were made worse, by making them smaller and larger again.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from chestgan_core.evaluation.scoring.sides import MIN_IMAGES, half_of_patients
from chestgan_core.metrics.bootstrap import resampling
from chestgan_core.metrics.detectable import Detectable, Spread, detectable, spread_of
from chestgan_core.metrics.feature_extractors import Extractor
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.mapped_images import Images

BLURS = (1.3, 2.0, 4.0)  # by how much slices are made smaller and larger again
IMAGES = 200  # of each side; the interval depends on the number of patients more than on that of their slices
# With fewer held-out patients than this, half of those trained on help to measure how much patients differ.
ENOUGH_PATIENTS = 5
LEVELS = (0.05, 0.1, 0.2, 0.4, 0.8)  # KID, not times 1000, at which differences are said
DIFFERENCES = (0.01, 0.02, 0.05)


@dataclass(frozen=True)
class Level:
    """Around one KID, not times 1000. half_width: of the 95 % interval of a report. smallest: difference that two
    reports tell apart in 80 of 100 draws of patients; None: no generator is told apart from this one. patients: how
    many each of DIFFERENCES takes; None: more than 100,000, or more images.
    """

    kid: float
    half_width: float
    smallest: float | None
    patients: tuple[int | None, ...]


@dataclass(frozen=True)
class HeldOutFacts:
    """extractor: its id. images: of each side that were compared. floor: KID between the two groups of patients, not
    times 1000; floor_half_width: half of its 95 % interval, None with one patient. judging, trained: patients of the
    two groups. borrowed: how many of the judging ones are those to be trained on. levels: () where `reason` says why
    nothing can be said.
    """

    extractor: str
    images: int
    floor: float | None
    floor_half_width: float | None
    judging: int
    trained: int
    borrowed: int
    levels: tuple[Level, ...]
    reason: str


def held_out_facts(
    trained: LoadedSlices[Images],
    held_out: LoadedSlices[Images],
    extractor: Extractor,
    seed: int,
    images: int = IMAGES,
) -> HeldOutFacts:
    """Measured on real slices; takes (2 + len(BLURS)) times `images` passes of the extractor."""
    count = len(set(held_out.patients))
    names, borrowed = list(held_out.patients), np.empty(0, np.int64)
    others = np.ones(len(trained), dtype=bool)
    if count < ENOUGH_PATIENTS and len(set(trained.patients)) >= 2:
        others = half_of_patients(trained.patients)
        borrowed = np.flatnonzero(~others)
        names += [name for name, other in zip(trained.patients, others, strict=True) if not other]
    reference = np.flatnonzero(others)
    given = [name for name, other in zip(trained.patients, others, strict=True) if other]
    groups = len(set(names)), len(set(given)), len(set(names)) - count
    rng = np.random.default_rng(seed)
    size = min(images, len(names), len(reference))
    if size < MIN_IMAGES:
        reason = f"{size} slices on a side, and at least {MIN_IMAGES} are needed"
        return HeldOutFacts(extractor.id, size, None, None, *groups, (), reason)
    at = rng.permutation(len(names))[:size]
    own = at < len(held_out)
    real = torch.empty(size, *held_out.images.shape[1:])
    real[torch.from_numpy(own)] = held_out.images[at[own]]
    real[torch.from_numpy(~own)] = trained.images[borrowed[at[~own] - len(held_out)]]
    stand_in = trained.images[reference[rng.permutation(len(reference))[:size]]]
    patients = resampling([names[index] for index in at], seed)
    raw = extractor.features(real, label="features of the judging patients")
    x = extractor.comparable(raw, raw)
    spreads: list[Spread | None] = []
    for factor in (1.0, *BLURS):
        y = extractor.features(blurred(stand_in, factor), label=f"features of stand-ins, blur {factor:g}")
        spreads.append(spread_of(x, extractor.comparable(y, raw), patients))
    found = [one for one in spreads if one is not None]
    if not found:
        reason = "only one patient judges, and a patient says nothing about others"
        return HeldOutFacts(extractor.id, size, None, None, *groups, (), reason)
    can = detectable(found, patients.patients)
    levels = tuple(_level(can, kid, count) for kid in LEVELS if found[0].kid < kid <= 1.5 * can.largest)
    return HeldOutFacts(extractor.id, size, found[0].kid, found[0].half_width, *groups, levels, "")


def blurred(images: Tensor, factor: float) -> Tensor:
    """(N, 1, R, R) made smaller by the factor, with antialiasing, and as large as before."""
    if factor == 1:
        return images
    side = images.shape[-1]
    small = functional.interpolate(images, size=max(2, round(side / factor)), mode="bilinear", antialias=True)
    return functional.interpolate(small, size=side, mode="bilinear")


def _level(can: Detectable, kid: float, patients: int) -> Level:
    return Level(
        kid=kid,
        half_width=can.half_width(kid, max(patients, 1)),
        smallest=can.smallest(kid, patients),
        patients=tuple(can.patients_for(difference, kid) for difference in DIFFERENCES),
    )
