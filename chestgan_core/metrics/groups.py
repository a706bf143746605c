"""Whom a generator forgot: how well synthetic images cover the real images of each group of patients.

In: (N, d) features of real images with their patients and groups, (M, d) of synthetic ones. Out: per group KID,
coverage and distance to the nearest synthetic image, each with an interval over patients; and which groups are worse
than the rest by more than chance. Images are compared once, whatever the number of groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chestgan_core.metrics.bootstrap import Interval, Resampling, resampling
from chestgan_core.metrics.distances import kid_draws
from chestgan_core.metrics.measure import share
from chestgan_core.metrics.precision_recall import NEIGHBOURS

Features = NDArray[np.floating]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]
# Rows of images compared at once: bounds the memory to about ROWS x (N + M) x 8 bytes.
ROWS = 512
# Fewer images than these say nothing of a group; fewer patients are people, not a group.
MIN_IMAGES, MIN_PATIENTS = 8, 3
PERMUTATIONS = 2000
# Patients reordered at once.
AT_ONCE = 100


@dataclass(frozen=True)
class Surroundings:
    """What lies around the real images of a side.

    patients: (N,) the number of each image's patient. covered: (N,) 1 where a synthetic image is no farther than the
    k-th nearest real one. synthetic, others: (N,) distance to the nearest synthetic image, and to the nearest real
    image of another patient. bundles: (N,) the patient of each image, or of more than 200 a bundle of whole patients.
    atoms: (N,) images of one atom are of one bundle and of the same groups. within: (A, A) sums of kernels between
    different images of two atoms. across: (A,) sums over the images of an atom of their mean kernel with the synthetic
    ones. between_fakes: mean kernel of two different synthetic images.
    """

    patients: Indices
    covered: NDArray[np.float64]
    synthetic: NDArray[np.float64]
    others: NDArray[np.float64]
    bundles: Indices
    atoms: Indices
    within: NDArray[np.float64]
    across: NDArray[np.float64]
    between_fakes: float


@dataclass(frozen=True)
class Estimated:
    """A value, and its 95 % interval over the patients of the group; None where there is one patient."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class GroupMeasures:
    """kid: against the synthetic images. kid_floor: against the real images of patients that are not in the group, None
    with fewer than MIN_IMAGES of them; both are unbiased, so that their numbers of images need not be the same.
    coverage: share of the group's images that are covered. distance: to the nearest synthetic image, relative to that
    to the nearest real image of another patient, both summed over the group; None where the latter is 0.
    """

    patients: int
    images: int
    kid: Estimated
    kid_floor: float | None
    coverage: Estimated
    distance: Estimated | None


def surroundings(
    real: Features,
    fake: Features,
    patients: Sequence[str],
    labels: Sequence[Sequence[str]] = (),
    k: int = NEIGHBOURS,
) -> Surroundings:
    """Compare every real image with every other, and with every synthetic one.

    Args:
        real: (N, d) of one side, N above k.
        fake: (M, d), M at least 2.
        patients: The patient of each real image, at least two different ones.
        labels: For each kind of group the label of each image; only their differences count.
        k: Which neighbour is on the border of a ball (Naeem et al. 2020).

    Raises:
        ValueError: Too few images, or one patient.

    Examples:
        >>> real, fake = np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([[0.5], [0.6]])
        >>> found = surroundings(real, fake, ["P1", "P1", "P2", "P2"], k=1)
        >>> found.covered.tolist(), found.synthetic.round(1).tolist(), found.others.tolist()
        ([1.0, 1.0, 0.0, 0.0], [0.5, 0.4, 9.4, 10.4], [10.0, 9.0, 9.0, 10.0])
    """
    if len(real) <= k or len(fake) < 2:
        raise ValueError(
            f"needs more than {k} real and 1 synthetic vectors, found {len(real)} and {len(fake)}"
        )
    names = np.unique(np.array(patients), return_inverse=True)[1].astype(np.int64)
    if names.max() == 0:
        raise ValueError("needs two patients")
    bundles = resampling(patients, seed=0).groups
    parts = [bundles, *(np.unique(np.array(one), return_inverse=True)[1] for one in labels)]
    atoms = np.unique(np.stack(parts, axis=1), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    one_hot = np.eye(atoms.max() + 1)[atoms]
    x, y = (some.astype(np.float32, copy=False) for some in (real, fake))
    norms, fake_norms = ((some.astype(np.float64) ** 2).sum(axis=1) for some in (x, y))
    covered, synthetic, others = (np.empty(len(x)) for _ in range(3))
    within, across = np.zeros((one_hot.shape[1],) * 2), np.zeros(one_hot.shape[1])
    for start in range(0, len(x), ROWS):
        rows = np.arange(start, min(start + ROWS, len(x)))
        products = (x[rows] @ x.T).astype(np.float64)
        squared = _squared(products, norms[rows], norms)
        itself = np.arange(len(rows)), rows
        squared[itself] = 0  # exactly; then it is the nearest in each row
        radii = np.partition(squared, k, axis=1)[:, k]
        others[rows] = np.where(names[rows, None] == names[None], np.inf, squared).min(axis=1)
        kernels = _kernels(products, x.shape[1])
        kernels[itself] = 0
        within += one_hot[rows].T @ (kernels @ one_hot)
        products = (x[rows] @ y.T).astype(np.float64)
        synthetic[rows] = _squared(products, norms[rows], fake_norms).min(axis=1)
        covered[rows] = synthetic[rows] <= radii
        across += one_hot[rows].T @ _kernels(products, x.shape[1]).mean(axis=1)
    return Surroundings(
        names, covered, np.sqrt(synthetic), np.sqrt(others), bundles, atoms, within, across, _between(y)
    )


def group_measures(around: Surroundings, members: Mask, seed: int) -> GroupMeasures | None:
    """The measures of one group; None below MIN_IMAGES images. members: (N,), whole atoms."""
    count = int(members.sum())
    if count < MIN_IMAGES:
        return None
    drawn = resampling([f"{bundle:06d}" for bundle in around.bundles[members]], seed)
    inside = np.bincount(around.atoms[members], minlength=len(around.across)) > 0
    outside = np.bincount(around.atoms[~members], minlength=len(around.across)) > 0
    if (inside & outside).any():
        raise ValueError("a group divides images that were said to have the same labels")
    of_bundles = np.bincount(around.bundles[members], minlength=around.bundles.max() + 1) > 0
    strangers = ~of_bundles[around.bundles]
    within = around.within[np.ix_(inside, inside)].sum() / (count * (count - 1))
    across = around.across[inside].sum() / count
    floor = None
    if (many := int(strangers.sum())) >= MIN_IMAGES:
        away = np.bincount(around.atoms[strangers], minlength=len(around.across)) > 0
        apart = around.within[np.ix_(away, away)].sum() / (many * (many - 1))
        floor = float(within + apart - 2 * around.within[np.ix_(inside, away)].sum() / (count * many))
    return GroupMeasures(
        patients=len(np.unique(around.patients[members])),
        images=count,
        kid=Estimated(
            float(within + around.between_fakes - 2 * across), _kid_interval(around, members, drawn)
        ),
        kid_floor=floor,
        coverage=_coverage(around.covered[members], drawn),
        distance=_distance(around.synthetic[members], around.others[members], drawn),
    )


def worse_by_chance(
    around: Surroundings, kinds: Sequence[Sequence[Mask]], seed: int
) -> list[NDArray[np.float64]]:
    """How often random groups would have one that is as far behind the rest, by coverage or by distance.

    A permutation test (Fisher 1935) of the largest of all differences (Westfall and Young 1993), of the means of
    patients: where no group is worse, the probability that any is found at p <= 0.05, by whichever measure, is 5 %.

    Args:
        around: Of one side.
        kinds: For each kind of group the members of all its groups, (N,) each; together they are all images.
        seed: Of the random groups.

    Returns:
        For each kind (G, 2): p of coverage and of distance of each group, from 1 / (PERMUTATIONS + 1) to 1. 1 also for
        a group of fewer than MIN_PATIENTS patients or MIN_IMAGES images, or with fewer in the rest.
    """
    rng = np.random.default_rng(seed)
    found: list[NDArray[np.float64]] = []
    largest = np.full(PERMUTATIONS, -np.inf)
    for groups in kinds:
        values, weights = _of_patients(around, groups)
        found.append(weights.T @ values)
        for start in range(0, PERMUTATIONS, AT_ONCE):
            orders = rng.permuted(np.tile(np.arange(len(values)), (AT_ONCE, 1)), axis=1)
            differences = np.einsum("bum,ug->bgm", values[orders], weights).reshape(AT_ONCE, -1)
            part = slice(start, start + AT_ONCE)
            largest[part] = np.maximum(largest[part], differences.max(axis=1, initial=-np.inf))
    return [_p_values(differences, largest) for differences in found]


def _of_patients(
    around: Surroundings, groups: Sequence[Mask]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """values: (U, 2) of the images of one patient in one group: the share that is not covered, and the logarithm of the
    relative distance, both divided by their spread. weights: (U, G), whose product with values is how much worse a
    group is than the rest, in standard errors; 0 for a group that is too small to be tested.
    """
    values, belongs = [], []
    for group, members in enumerate(groups):
        for patient in np.unique(around.patients[members]):
            of_patient = members & (around.patients == patient)
            relative = around.synthetic[of_patient].sum() / max(around.others[of_patient].sum(), 1e-12)
            values.append((1 - around.covered[of_patient].mean(), np.log(max(relative, 1e-12))))
            belongs.append(group)
    found, of_group = np.array(values), np.array(belongs)[:, None] == np.arange(len(groups))
    spread = found.std(axis=0)
    found = (found - found.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
    inside, outside = of_group.sum(axis=0), (~of_group).sum(axis=0)
    images = np.array([members.sum() for members in groups])
    fewest = np.minimum(inside, outside), np.minimum(images, images.sum() - images)
    tested = (fewest[0] >= MIN_PATIENTS) & (fewest[1] >= MIN_IMAGES)
    inside, outside = np.maximum(inside, 1), np.maximum(outside, 1)
    weights = (of_group / inside - ~of_group / outside) / np.sqrt(1 / inside + 1 / outside)
    return found, np.where(tested, weights, 0.0)


def _p_values(differences: NDArray[np.float64], largest: NDArray[np.float64]) -> NDArray[np.float64]:
    # Equal sums differ by rounding where they are added in another order.
    as_far = (largest >= differences[..., None] - 1e-9).sum(axis=-1)
    p: NDArray[np.float64] = np.where(differences > 0, (1 + as_far) / (1 + PERMUTATIONS), 1.0)
    return p


def rest_of(around: Surroundings, members: Mask, seed: int) -> tuple[Estimated, Estimated | None] | None:
    """Coverage and distance of the images outside of a group; None where there are fewer than MIN_IMAGES."""
    rest = ~members
    if rest.sum() < MIN_IMAGES:
        return None
    drawn = resampling([f"{bundle:06d}" for bundle in around.bundles[rest]], seed)
    return (
        _coverage(around.covered[rest], drawn),
        _distance(around.synthetic[rest], around.others[rest], drawn),
    )


def _coverage(covered: NDArray[np.float64], drawn: Resampling) -> Estimated:
    interval = drawn.interval(drawn.means(covered))
    if interval is not None:
        # It is widened for few patients, which may lead beyond what a share can be.
        interval = max(interval[0], 0.0), min(interval[1], 1.0)
    return Estimated(float(covered.mean()), interval)


def _distance(
    synthetic: NDArray[np.float64], others: NDArray[np.float64], drawn: Resampling
) -> Estimated | None:
    found = share(synthetic, others, drawn, np.inf)
    return None if found is None else Estimated(found.value, found.interval)


def _kid_interval(around: Surroundings, members: Mask, drawn: Resampling) -> Interval | None:
    """From the sums of atoms to those of the group's patients."""
    atoms, first = np.unique(around.atoms[members], return_index=True)
    to_patients = np.eye(drawn.count)[drawn.groups[first]]
    pairs = to_patients.T @ around.within[np.ix_(atoms, atoms)] @ to_patients
    cross = to_patients.T @ around.across[atoms]
    return drawn.interval(kid_draws(pairs, cross, drawn) + around.between_fakes)


def _squared(
    products: NDArray[np.float64], norms: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(R, M) squared distances; rounding never makes one negative."""
    return np.maximum(norms[:, None] + others[None] - 2 * products, 0)


def _kernels(products: NDArray[np.float64], dimension: int) -> NDArray[np.float64]:
    """(R, M): (x.y / d + 1)^3, the kernel of KID."""
    plus = products / dimension + 1
    cubes: NDArray[np.float64] = plus * plus * plus
    return cubes


def _between(fake: Features) -> float:
    """Mean kernel of two different synthetic images."""
    total = 0.0
    for start in range(0, len(fake), ROWS):
        rows = np.arange(start, min(start + ROWS, len(fake)))
        kernels = _kernels((fake[rows] @ fake.T).astype(np.float64), fake.shape[1])
        kernels[np.arange(len(rows)), rows] = 0
        total += float(kernels.sum())
    return total / (len(fake) * (len(fake) - 1))
