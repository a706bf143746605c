"""Measures on the features of one extractor: distances, manifolds, classifiers, memorization.

In: the sides of a comparison and their features by role. Out: measurements by name, each with its floor where there is
one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from chestgan_core.config.release_rules import MIN_MEMORIZATION_PATIENTS
from chestgan_core.evaluation.scoring.metric_rows import (
    NOT_ASKED,
    NOTHING_SHOWN,
    FloorValue,
    Measurement,
)
from chestgan_core.evaluation.scoring.sides import MIN_IMAGES, Floor, Sides, half_of_patients
from chestgan_core.metrics.bootstrap import Resampling, resampling
from chestgan_core.metrics.classifiers import auc_per_image, class_auc, class_numbers, fit
from chestgan_core.metrics.degenerate import degenerate, is_noise
from chestgan_core.metrics.distances import fid, kid
from chestgan_core.metrics.memorization import nearer_fraction, nearer_interval, nearest
from chestgan_core.metrics.precision_recall import NEIGHBOURS, precision_recall

Features = NDArray[np.float32]
# Pixels per side at which images are compared pixel by pixel; larger ones are averaged down.
COMPARED_SIZE = 64
MIN_IMAGES_PER_HALF = 4
ONE_PATIENT = "no interval: one patient"


@dataclass(frozen=True)
class FeatureComparison:
    """features: role (real, synthetic, other) -> (n, d) of the images of the sides."""

    sides: Sides
    features: Mapping[str, Features]
    seed: int

    @cached_property
    def floor(self) -> Floor:
        """The two groups of images whose distance is the floor."""
        return self.sides.floor()

    @cached_property
    def patients(self) -> Resampling:
        """Bootstrap draws of the held-out patients."""
        return resampling(self.sides.held_out.patients, self.seed)

    def distances(self) -> dict[str, Measurement]:
        """KID, FID and the FID ratio."""
        real, fake = self.features["real"], self.features["synthetic"]
        found = kid(real, fake, self.seed, self.patients)
        n, d = real.shape
        biased = f"biased upwards at small n: compare only at n = {n}"
        if n <= d:
            biased += f"; n does not exceed the {d} features, so the covariances are rank-deficient"
        biased += "; no interval: bootstrap draws have fewer distinct patients and are biased further"
        distance = fid(real, fake)
        kid_floor, fid_floor, ratio = None, None, None
        if m := len(self.floor.first):
            first, second = self._floor_features()
            kid_floor, fid_floor = kid(first, second, self.seed), fid(first, second)
            same_n = distance if m == n else fid(real[:m], fake[:m])
            ratio = fid_floor / same_n if same_n else 1.0
        about = "unbiased, may be below 0; sd assumes that slices of one patient are independent"
        return {
            "KID": Measurement(
                found.value,
                f"{about}; {self._about_interval}",
                found.sd,
                found.interval,
                self._floor_of(kid_floor.value if kid_floor else None, kid_floor.sd if kid_floor else None),
            ),
            "FID": Measurement(distance, biased, floor=self._floor_of(fid_floor)),
            "FID ratio": Measurement(
                ratio,
                f"FID of the floor / FID of the synthetic images, {len(self.floor.first)} images each; 1 is ideal"
                if ratio is not None
                else f"not measured: {self.floor.note}",
                floor=FloorValue(note="1 by definition"),
            ),
        }

    def manifolds(self) -> dict[str, Measurement]:
        """Precision, recall, density and coverage."""
        found = precision_recall(self.features["real"], self.features["synthetic"])
        floors = precision_recall(*self._floor_features()) if len(self.floor.first) else None
        note = f"balls up to the {NEIGHBOURS}th nearest neighbour"
        rows = {}
        for name in ("precision", "recall", "density", "coverage"):
            interval = None
            if name in found.per_real_image:
                interval = self.patients.interval(self.patients.means(found.per_real_image[name]))
            about = (
                self._about_interval
                if name in found.per_real_image
                else "no interval: fewer patients have fewer balls"
            )
            floor = self._floor_of(getattr(floors, name) if floors else None)
            rows[name] = Measurement(getattr(found, name), f"{note}; {about}", interval=interval, floor=floor)
        return rows

    def classifier(self) -> dict[str, Measurement]:
        """AUC of a classifier of real against synthetic images, on patients that it was not trained on."""
        halves = self._halves(self.sides.held_out.patients)
        if halves is None:
            reason = "a classifier needs two held-out patients, one for training and one for testing"
            return {"AUC": Measurement(None, f"not measured: {reason}")}
        fake = self.features["synthetic"]
        of_fake = np.random.default_rng(self.seed).permutation(len(fake)) % 2 == 0
        below = auc_per_image(self.features["real"], halves, fake, of_fake)
        note = (
            "logistic regression on the features, trained on half of the patients and tested on the others, both ways; "
            f"0.5 is ideal; {self._about_interval}"
        )
        return {
            "AUC": Measurement(
                float(below.mean()),
                note,
                interval=self.patients.interval(self.patients.means(below)),
                floor=self._auc_floor(),
            )
        }

    def utility(self) -> dict[str, Measurement]:
        """AUC of a classifier of the classes, trained on synthetic images and tested on held-out patients.

        The ceiling: the same, trained on as many real images. {} where the images have no classes.
        """
        sides = self.sides
        if not sides.fake_classes or not sides.held_out.classes:
            return {}
        classes = sorted(set(sides.fake_classes) & set(sides.held_out.classes))
        if len(classes) < 2:
            reason = f"the held-out images have {len(set(sides.held_out.classes))} of the classes"
            return {
                name: Measurement(None, f"not measured: {reason}") for name in ("utility", "utility ceiling")
            }
        other = sides.other
        trained = {"utility": ("synthetic", sides.fake_classes)}
        if other is not None and set(classes) <= set(other.classes):
            trained["utility ceiling"] = ("other", other.classes)
        rows = {}
        for name, (role, names) in trained.items():
            value, interval, count = self._class_auc(role, names, classes)
            note = (
                f"AUC, mean over {len(classes)} classes: logistic regression on the features of {count} "
                f"{'synthetic images' if role == 'synthetic' else f'{sides.image_kind} images of training patients'}; "
                f"0.5 is chance; {self._about_interval}"
            )
            floor_note = (
                "the utility ceiling" if role == "synthetic" else "none: it is the reference of the utility"
            )
            rows[name] = Measurement(value, note, interval=interval, floor=FloorValue(note=floor_note))
        if "utility ceiling" not in rows:
            reason = "no images of training patients of each class"
            rows["utility ceiling"] = Measurement(None, f"not measured: {reason}")
        return rows

    def memorization(self) -> dict[str, Measurement]:
        """The fraction of synthetic images that are nearer to training patients than to held-out ones."""
        sides = self.sides
        if sides.other is None or len(sides.other.images) < MIN_IMAGES:
            reason = "no training images were given" if sides.other is None else self.floor.note
            return {"memorized fraction": Measurement(None, f"not measured: {reason}")}
        if found := self._nothing_shown():
            # What resembles neither side is nearer to either by chance of the features: 0, 50 or 100 % of such images.
            return {"memorized fraction": Measurement(None, f"{NOTHING_SHOWN} {found}")}
        n = len(sides.other.images)
        train_patients = resampling(sides.other.patients, self.seed + 1)
        held_out_patients = resampling(sides.held_out.patients[:n], self.seed)
        train = nearest(
            self.features["synthetic"], self.features["other"], train_patients.groups, train_patients.count
        )
        held_out = nearest(
            self.features["synthetic"],
            self.features["real"][:n],
            held_out_patients.groups,
            held_out_patients.count,
        )
        pixels = {role: as_vectors(images) for role, images in sides.groups.items()}
        in_pixels = _nearer_fraction(pixels["synthetic"], pixels["other"], pixels["real"][:n])
        several = min(train_patients.count, held_out_patients.count) > 1
        about = "95 % over the patients of both sides" if several else f"{ONE_PATIENT} on one side"
        note = (
            f"{_not_asked(held_out_patients.patients)}nearest of {n} images on each side, of "
            f"{train_patients.patients} training and {held_out_patients.patients} held-out patient(s); "
            f"{in_pixels:.0%} in pixels; 50% is ideal; {about}"
        )
        return {
            "memorized fraction": Measurement(
                nearer_fraction(train, held_out),
                note,
                interval=nearer_interval(train, held_out, train_patients, held_out_patients),
                floor=self._memorized_floor(),
            )
        }

    def _nothing_shown(self) -> str:
        """What the synthetic images are, where they are no images of anything; else ""."""
        fake, real = (images.cpu().numpy() for images in (self.sides.fake, self.sides.held_out.images))
        noise = "are noise: neighbouring pixels are unrelated" if is_noise(fake, real) else ""
        return degenerate(fake) or noise

    @property
    def _about_interval(self) -> str:
        if self.patients.count < 2:
            return f"{ONE_PATIENT} says nothing about others"
        return f"95 % over {self.patients.patients} patients"

    def _floor_features(self) -> tuple[Features, Features]:
        return self.features["real"][self.floor.first], self.features[self.floor.role][self.floor.second]

    def _floor_of(self, value: float | None, sd: float | None = None) -> FloorValue:
        """The measure between the two groups of the floor."""
        return FloorValue(value, self.floor.note, len(self.floor.first), sd)

    def _halves(self, patients: tuple[str, ...]) -> NDArray[np.bool_] | None:
        """(N,) True for one of two groups of whole patients; None where a group would be too small."""
        half = half_of_patients(patients)
        return half if min(half.sum(), (~half).sum()) >= MIN_IMAGES_PER_HALF else None

    def _auc_floor(self) -> FloorValue:
        floor = self.floor
        if not len(floor.first):
            return FloorValue(note=floor.note)
        sides = [(self.sides.patients("real"), floor.first), (self.sides.patients(floor.role), floor.second)]
        halves = [self._halves(tuple(of[at] for at in places)) for of, places in sides]
        if halves[0] is None or halves[1] is None:
            return FloorValue(note="no floor: needs two patients in each group")
        first, second = self._floor_features()
        return self._floor_of(float(auc_per_image(first, halves[0], second, halves[1]).mean()))

    def _class_auc(
        self, role: str, names: tuple[str, ...], classes: list[str]
    ) -> tuple[float, tuple[float, float] | None, int]:
        """AUC and interval on the held-out images of a classifier trained on one role, and its training images."""
        chosen = np.array([name in classes for name in names])
        tested = np.array([name in classes for name in self.sides.held_out.classes])
        labels = class_numbers([name for name in names if name in classes], classes)
        model = fit(self.features[role][chosen], labels, len(classes))
        truth = class_numbers([name for name in self.sides.held_out.classes if name in classes], classes)
        patients = resampling(
            [
                patient
                for patient, is_tested in zip(self.sides.held_out.patients, tested, strict=True)
                if is_tested
            ],
            self.seed,
        )
        value, interval = class_auc(model.scores(self.features["real"][tested]), truth, patients)
        return value, interval, int(chosen.sum())

    def _memorized_floor(self) -> FloorValue:
        """The same fraction for real images: those of each held-out patient, between training patients and the other
        held-out ones, with as many images on both sides.
        """
        real, trained = self.features["real"], self.features["other"]
        patients = np.array(self.sides.held_out.patients)
        nearer, least = [], len(real)
        for patient in np.unique(patients):
            others = real[patients != patient]
            n = min(len(others), len(trained))
            if n < MIN_IMAGES:
                return FloorValue(note="no floor: needs two held-out patients with images enough")
            own = real[patients == patient]
            nearer.append(len(own) * _nearer_fraction(own, trained[:n], others[:n]))
            least = min(least, n)
        return FloorValue(
            sum(nearer) / len(real),
            f"each held-out patient in place of the synthetic images, against the others; {least} images or more on "
            "each side",
            least,
        )


def _not_asked(patients: int) -> str:
    """The beginning of the note where there are too few held-out patients for a judgement."""
    if patients >= MIN_MEMORIZATION_PATIENTS:
        return ""
    return f"{NOT_ASKED}of {patients} held-out patient(s), fewer than {MIN_MEMORIZATION_PATIENTS}, it is chance; "


def _nearer_fraction(queries: Features, train: Features, held_out: Features) -> float:
    return nearer_fraction(
        *(nearest(queries, side, np.zeros(len(side), np.int64), 1) for side in (train, held_out))
    )


def as_vectors(images: Tensor) -> Features:
    """(N, 1, H, W) to (N, d) float32: the pixels, at most COMPARED_SIZE per side."""
    size = images.shape[-1]
    if size > COMPARED_SIZE:
        images = torch.cat(
            [
                functional.adaptive_avg_pool2d(some, COMPARED_SIZE)
                for some in torch.split(images, MIN_IMAGES * COMPARED_SIZE)
            ]
        )
    vectors: Features = images.detach().float().cpu().flatten(1).numpy()
    return vectors
