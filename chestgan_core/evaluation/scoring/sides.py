"""The sides of a comparison: images of held-out patients, synthetic ones, images of other patients, and the floor.

In: what was loaded and generated. Out: as many of each side as are compared, drawn by a seed, and two groups of real
images of different patients whose distance is the floor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chestgan_core.config.dataset import ImageKind
from chestgan_core.errors import BadInput

# Fewer images leave no neighbours to speak of.
FEWEST = 8


@dataclass(frozen=True)
class RealImages:
    """images: (N, 1, H, W) float32 in [-1, 1]; patients: the patient of each, N keys; classes: of each, or none."""

    images: Tensor
    patients: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.images) != len(self.patients):
            raise ValueError(f"{len(self.images)} images, but {len(self.patients)} patients")

    def some(self, indices: Sequence[int]) -> Self:
        """The images at these places."""
        classes = tuple(self.classes[index] for index in indices) if self.classes else ()
        return type(self)(
            self.images[list(indices)], tuple(self.patients[index] for index in indices), classes
        )


@dataclass(frozen=True)
class Floor:
    """first: places in the held-out images; second: in those of the role `role`; of different patients, equally many;
    empty where there is no floor. note: which they are, or why there is none.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    role: str
    note: str


@dataclass(frozen=True)
class Sides:
    """held_out and fake: equally many. fake_classes: what each was asked to show, or none. other: of patients that were
    trained on, at most as many; None without. trained: all images of these patients, from which `other` was drawn.
    """

    held_out: RealImages
    fake: Tensor
    fake_classes: tuple[str, ...]
    other: RealImages | None
    trained: Tensor | None
    image_kind: ImageKind

    @property
    def groups(self) -> dict[str, Tensor]:
        """Role -> images, as the report and its figures call them."""
        groups = {"real": self.held_out.images, "synthetic": self.fake}
        if self.other is not None:
            groups["other"] = self.other.images
        return groups

    def patients(self, role: str) -> tuple[str, ...]:
        """The patient of each image of `real` or `other`."""
        found = self.other if role == "other" else self.held_out
        return found.patients if found else ()

    @property
    def split(self) -> str:
        """The split in words."""
        count = len(set(self.held_out.patients))
        if self.other is None:
            return f"{count} patient(s); nothing says whether the model was trained on them"
        return f"held-out patients: {count} of {count + len(set(self.other.patients))}"

    def floor(self) -> Floor:
        """Held-out against other patients; without others, the held-out ones in two groups."""
        real = self.held_out
        nothing = np.zeros(0, dtype=np.int64)
        if self.other is not None:
            n, others = len(self.other.images), len(set(self.other.patients))
            if n < FEWEST:
                return Floor(nothing, nothing, "other", f"no floor: only {n} images of other patients")
            less = "" if n == len(real.images) else f"; {n} images each, fewer than in the comparison itself"
            every = np.arange(n)
            return Floor(
                every, every, "other", f"{self.image_kind} images of {others} other patient(s){less}"
            )
        patients = len(set(real.patients))
        if patients < 2:
            return Floor(nothing, nothing, "real", "no floor: one patient only, and no images of others")
        first = half_of_patients(real.patients)
        n = min(int(first.sum()), int((~first).sum()))
        if n < FEWEST:
            return Floor(nothing, nothing, "real", f"no floor: half of the patients have {n} images")
        note = f"{patients} patients in two groups; {n} images each, fewer than in the comparison itself"
        return Floor(np.flatnonzero(first)[:n], np.flatnonzero(~first)[:n], "real", note)


def draw_sides(
    held_out: RealImages,
    fake: Tensor,
    fake_classes: Sequence[str],
    reference: RealImages | None,
    images: int,
    seed: int,
    image_kind: ImageKind,
) -> Sides:
    """At most `images` of each side, in random order. Raises BadInput: see evaluate()."""
    _check(held_out, fake, reference, image_kind)
    rng = np.random.default_rng(seed)
    count = min(len(held_out.images), len(fake), images)
    drawn = held_out.some(_draw(len(held_out.images), count, rng))
    of_fake = _draw(len(fake), count, rng)
    other = None
    if reference is not None:
        other = reference.some(_draw(len(reference.images), min(count, len(reference.images)), rng))
    return Sides(
        held_out=drawn,
        fake=fake[of_fake],
        fake_classes=tuple(fake_classes[at] for at in of_fake) if fake_classes else (),
        other=other,
        trained=None if reference is None else reference.images,
        image_kind=image_kind,
    )


def half_of_patients(patients: Sequence[str]) -> NDArray[np.bool_]:
    """True for the images of about half of the patients: by falling number of images, each to the smaller half."""
    names, counts = np.unique(np.array(patients), return_counts=True)
    sizes, chosen = [0, 0], set()
    for name, count in sorted(zip(names, counts, strict=True), key=lambda pair: -pair[1]):
        half = int(sizes[0] > sizes[1])
        sizes[half] += count
        if half == 0:
            chosen.add(name)
    return np.array([patient in chosen for patient in patients])


def _draw(available: int, count: int, rng: np.random.Generator) -> list[int]:
    """A random choice of places in random order."""
    return [int(index) for index in rng.permutation(available)[:count]]


def _check(held_out: RealImages, fake: Tensor, reference: RealImages | None, image_kind: ImageKind) -> None:
    called = {
        "real": f"the {image_kind} images",
        "synthetic": "the synthetic images",
        "other": "the other images",
    }
    sides = {"real": held_out.images, "synthetic": fake}
    if reference is not None:
        sides["other"] = reference.images
    for role, images in sides.items():
        if images.ndim != 4 or images.shape[1:] != fake.shape[1:] or images.shape[1] != 1:
            raise BadInput(
                called[role],
                f"are {tuple(images.shape[1:])}, the synthetic ones {tuple(fake.shape[1:])}",
                "compare images of one size: normalize and generate at the same --size",
            )
    for role in ("real", "synthetic"):
        if len(sides[role]) < FEWEST:
            raise BadInput(
                called[role], f"are only {len(sides[role])}", f"give at least {FEWEST} on each side"
            )
    if reference is not None and (both := set(held_out.patients) & set(reference.patients)):
        raise BadInput(
            called["other"],
            f"share {len(both)} patient(s) with {called['real']}, so their distance is no floor",
            "give images of other patients",
        )
