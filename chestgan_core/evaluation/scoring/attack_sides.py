"""Who is attacked, and with whom: patients that were trained on, and three groups of patients that were not.

In: real images of both sides of a training, with their patients. Out: equally many slices of each patient, drawn by the
seed; or the reason why there are too few patients. No held-out patient has two roles: the others (whom an attack should
not take for trained on), the reference (which an attacker has besides the synthetic images), and the control (who stand
in for those trained on, where an attack must be at chance).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from chestgan_core.config.release_rules import MIN_ATTACK_PATIENTS
from chestgan_core.training.conditions import NO_CONDITIONS, SliceConditions

if TYPE_CHECKING:
    from torch import Tensor

# Of every four held-out patients. Where fewer are left over, the first roles are given.
ROLES = ("others", "reference", "control", "others")
# Of so many held-out patients, the others are as many as a judgement needs.
MIN_HELD_OUT = 2 * MIN_ATTACK_PATIENTS - 1
MAX_IMAGES = 2000  # of a side; more change the third digit


@dataclass(frozen=True)
class KnownImages:
    """images: (N, 1, R, R) float32 in [-1, 1]; patients: N keys; conditions: what a discriminator is told of them."""

    images: "Tensor"
    patients: tuple[str, ...]
    conditions: SliceConditions = NO_CONDITIONS

    def some(self, chosen: Sequence[int]) -> Self:
        """Those at these indices."""
        at = list(chosen)
        patients = tuple(self.patients[index] for index in at)
        return type(self)(self.images[at], patients, self.conditions.some(at))

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class AttackSides:
    """members: trained on. slices: at most so many of each patient, the same number on all sides but the reference."""

    members: KnownImages
    others: KnownImages
    control: KnownImages
    reference: KnownImages
    slices: int


def attack_sides(trained: KnownImages, held_out: KnownImages, images: int, seed: int) -> AttackSides | str:
    """The sides, at most `images` of those trained on and as many of those held out; or why there are too few."""
    members, others = len(set(trained.patients)), len(set(held_out.patients))
    if members < MIN_ATTACK_PATIENTS or others < MIN_HELD_OUT:
        return (
            f"attacks need {MIN_ATTACK_PATIENTS} patients that were trained on, and {MIN_HELD_OUT} held out, to be"
            f" {MIN_ATTACK_PATIENTS} others, a reference and a control; there are {members} and {others}"
        )
    images = min(images, MAX_IMAGES)
    role_of = roles(held_out.patients, seed)
    slices = min(_most(side.patients, images) for side in (trained, held_out))
    rng = np.random.default_rng(seed)
    sides = {
        role: held_out.some(
            _draw(held_out.patients, {who for who, of in role_of.items() if of == role}, limit, rng)
        )
        for role, limit in (("others", slices), ("control", slices), ("reference", images))
    }
    members_drawn = trained.some(_draw(trained.patients, set(trained.patients), slices, rng))
    return AttackSides(members_drawn, sides["others"], sides["control"], sides["reference"], slices)


def roles(patients: Sequence[str], seed: int) -> dict[str, str]:
    """The role of each patient. Four with about as many slices share the roles, in an order drawn by the seed: else one
    role could have all patients with a whole series, and another all with a single slice.

    Examples:
        >>> given = roles([f"patient {at}" for at in range(9)], seed=0)
        >>> sorted(given.values()).count("others"), sorted(given.values()).count("control")
        (5, 2)
    """
    names, counts = np.unique(np.array(patients), return_counts=True)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(names))
    ordered = [str(names[at]) for at in shuffled[np.argsort(-counts[shuffled], kind="stable")]]
    given: dict[str, str] = {}
    for start in range(0, len(ordered), len(ROLES)):
        some = ordered[start : start + len(ROLES)]
        order = rng.permutation(len(some))
        given |= {some[at]: ROLES[place] for place, at in enumerate(order)}
    return given


def _most(patients: Sequence[str], images: int) -> int:
    """Slices of each patient, so that all together are at most `images`; 1 or more."""
    _, counts = np.unique(np.array(patients), return_counts=True)
    limits = np.arange(1, counts.max() + 1)
    total = np.minimum(counts[:, None], limits).sum(axis=0)
    return int(max((total <= images).sum(), 1))


def _draw(patients: Sequence[str], chosen: set[str], limit: int, rng: np.random.Generator) -> list[int]:
    """Indices of at most `limit` slices of each chosen patient."""
    keys: NDArray[np.str_] = np.array(patients)
    found: list[int] = []
    for patient in sorted(chosen):
        own = np.flatnonzero(keys == patient)
        found += sorted(int(at) for at in rng.permutation(own)[:limit])
    return found
