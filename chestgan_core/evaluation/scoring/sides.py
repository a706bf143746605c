"""The sides of a comparison: images of held-out patients, synthetic ones, images of other patients, and the floor.

In: loaded and generated images. Out: equal numbers of each side, drawn by a seed, and two groups of real images of
different patients, whose distance is the floor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from chestgan_core.config.dataset import ImageKind
from chestgan_core.errors import BadInput
from chestgan_core.slices.other_patients import Side, require_other_patients

if TYPE_CHECKING:
    from torch import Tensor

    from chestgan_core.slices.shards import SliceRow

# With fewer images on a side, nearest neighbours mean nothing.
MIN_IMAGES = 8


@dataclass(frozen=True)
class RealImages:
    """images: (N, 1, H, W) float32 in [-1, 1]; patients: N keys, the patient of each; classes: N names, or empty. rows:
    what else is known of each, or empty.
    """

    images: "Tensor"
    patients: tuple[str, ...]
    classes: tuple[str, ...] = ()
    rows: "tuple[SliceRow, ...]" = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if len(self.images) != len(self.patients):
            raise ValueError(f"{len(self.images)} images, but {len(self.patients)} patients")

    def subset(self, indices: Sequence[int]) -> Self:
        """The images at these indices."""
        classes = tuple(self.classes[index] for index in indices) if self.classes else ()
        rows = tuple(self.rows[index] for index in indices) if self.rows else ()
        return type(self)(
            self.images[list(indices)], tuple(self.patients[index] for index in indices), classes, rows
        )


@dataclass(frozen=True)
class Floor:
    """Two groups of real images of different patients, equally many.

    first: indices of held-out images; second: indices of the images of `role`. Both are empty where there is no floor.
    note: which images, or why there is no floor.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    role: str
    note: str


@dataclass(frozen=True)
class Sides:
    """held_out and fake: equally many. fake_classes: the class that each was generated for, or empty.

    other: images of training patients, at most as many; or None. trained: all images of training patients, from which
    `other` was drawn. further: synthetic images that were not drawn.
    """

    held_out: RealImages
    fake: "Tensor"
    fake_classes: tuple[str, ...]
    other: RealImages | None
    trained: "Tensor | None"
    image_kind: ImageKind
    further: "Tensor"

    @property
    def groups(self) -> dict[str, "Tensor"]:
        """Role (real, synthetic, other) -> images (n, 1, H, W)."""
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
        """The split as a sentence fragment for the report."""
        count = len(set(self.held_out.patients))
        if self.other is None:
            return f"{count} patient(s); nothing says whether the model was trained on them"
        return f"held-out patients: {count} of {count + len(set(self.other.patients))}"

    def floor(self) -> Floor:
        """Held-out against other patients; without others, two groups of held-out patients."""
        real = self.held_out
        nothing = np.zeros(0, dtype=np.int64)
        if self.other is not None:
            n, others = len(self.other.images), len(set(self.other.patients))
            if n < MIN_IMAGES:
                return Floor(nothing, nothing, "other", f"no floor: only {n} images of other patients")
            fewer = "" if n == len(real.images) else f"; {n} images each, fewer than in the comparison itself"
            every = np.arange(n)
            return Floor(
                every, every, "other", f"{self.image_kind} images of {others} other patient(s){fewer}"
            )
        patients = len(set(real.patients))
        if patients < 2:
            return Floor(nothing, nothing, "real", "no floor: only one patient, and no images of others")
        first = half_of_patients(real.patients)
        n = min(int(first.sum()), int((~first).sum()))
        if n < MIN_IMAGES:
            return Floor(nothing, nothing, "real", f"no floor: half of the patients have {n} images")
        note = f"{patients} patients in two groups; {n} images each, fewer than in the comparison itself"
        return Floor(np.flatnonzero(first)[:n], np.flatnonzero(~first)[:n], "real", note)


def draw_sides(
    held_out: RealImages,
    fake: "Tensor",
    fake_classes: Sequence[str],
    reference: RealImages | None,
    images: int,
    seed: int,
    image_kind: ImageKind,
) -> Sides:
    """At most `images` of each side, drawn by the seed, in random order. Raises BadInput as evaluate() does."""
    _check(held_out, fake, reference, image_kind)
    rng = np.random.default_rng(seed)
    count = min(len(held_out.images), len(fake), images)
    drawn = held_out.subset(_draw(len(held_out.images), count, rng))
    of_fake = _draw(len(fake), len(fake), rng)
    of_fake, rest = of_fake[:count], of_fake[count:]
    other = None
    if reference is not None:
        other = reference.subset(_draw(len(reference.images), min(count, len(reference.images)), rng))
    return Sides(
        held_out=drawn,
        fake=fake[of_fake],
        fake_classes=tuple(fake_classes[at] for at in of_fake) if fake_classes else (),
        other=other,
        trained=None if reference is None else reference.images,
        image_kind=image_kind,
        further=fake[rest],
    )


def half_of_patients(patients: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) True for the images of about half of the patients: the largest first, each to the smaller half."""
    names, counts = np.unique(np.array(patients), return_counts=True)
    sizes, chosen = [0, 0], set()
    for name, count in sorted(zip(names, counts, strict=True), key=lambda pair: -pair[1]):
        half = int(sizes[0] > sizes[1])
        sizes[half] += count
        if half == 0:
            chosen.add(name)
    return np.array([patient in chosen for patient in patients])


def _draw(available: int, count: int, rng: np.random.Generator) -> list[int]:
    """Indices of a random choice, in random order."""
    return [int(index) for index in rng.permutation(available)[:count]]


def _check(held_out: RealImages, fake: "Tensor", reference: RealImages | None, image_kind: ImageKind) -> None:
    titles = {
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
                titles[role],
                f"are {tuple(images.shape[1:])}, the synthetic ones {tuple(fake.shape[1:])}",
                "compare images of one size: normalize and generate at the same --size",
            )
    for role in ("real", "synthetic"):
        if len(sides[role]) < MIN_IMAGES:
            raise BadInput(
                titles[role], f"are only {len(sides[role])}", f"give at least {MIN_IMAGES} on each side"
            )
    if reference is not None:
        require_other_patients(
            Side(reference.images.numpy(), reference.patients),
            Side(held_out.images.numpy(), held_out.patients),
            titles["real"],
            f"{titles['other']}, so their distance is not a floor",
            "give images of other patients",
        )
