"""Measures on the features of one extractor: distances, manifolds, classifiers, memorization.

In: the sides of a comparison and their features by role. Out: what was found, by measure, each with its floor where
there is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from chestgan_core.evaluation.scoring.metric_rows import Found, Under
from chestgan_core.evaluation.scoring.sides import FEWEST, Floor, Sides, half_of_patients
from chestgan_core.metrics.bootstrap import Resampling, resampling
from chestgan_core.metrics.classifiers import class_auc, class_numbers, fit, told_apart
from chestgan_core.metrics.distances import fid, kid
from chestgan_core.metrics.memorization import nearer_fraction, nearer_interval, nearest
from chestgan_core.metrics.precision_recall import NEIGHBOURS, manifolds

Features = NDArray[np.float32]
# Pixels a side at which images are compared pixel by pixel; larger ones are averaged down.
COMPARED = 64
LEAST_IN_HALF = 4
ONE_PATIENT = "no interval: one patient"


@dataclass(frozen=True)
class FeatureComparison:
    """features: role (real, synthetic, other) -> (n, d) of the images of the sides."""

    sides: Sides
    features: Mapping[str, Features]
    seed: int

    @cached_property
    def floor(self) -> Floor:
        """Which images stand against each other for the floor."""
        return self.sides.floor()

    @cached_property
    def patients(self) -> Resampling:
        """Draws of the held-out patients."""
        return resampling(self.sides.held_out.patients, self.seed)

    def distances(self) -> dict[str, Found]:
        """KID, FID and the FID ratio."""
        real, fake = self.features["real"], self.features["synthetic"]
        found = kid(real, fake, self.seed, self.patients)
        n, d = real.shape
        biased = f"biased upwards at small n: compare only at n = {n}"
        if n <= d:
            biased += f"; n is not above the {d} features, so the covariances are rank-deficient"
        biased += "; no interval: draws of patients are fewer patients, and biased further"
        distance = fid(real, fake)
        kid_floor, fid_floor, ratio = None, None, None
        if m := len(self.floor.first):
            first, second = self._floor_features()
            kid_floor, fid_floor = kid(first, second, self.seed), fid(first, second)
            same_n = distance if m == n else fid(real[:m], fake[:m])
            ratio = fid_floor / same_n if same_n else 1.0
        about = "unbiased, may be below 0; sd as if slices of one patient were independent"
        return {
            "KID": Found(
                found.value,
                f"{about}; {self._of_interval}",
                found.sd,
                found.interval,
                self._floor_of(kid_floor.value if kid_floor else None, kid_floor.sd if kid_floor else None),
            ),
            "FID": Found(distance, biased, floor=self._floor_of(fid_floor)),
            "FID ratio": Found(
                ratio,
                f"FID of the floor over FID of the synthetic images, {len(self.floor.first)} images each; 1 is ideal"
                if ratio is not None
                else f"not measured: {self.floor.note}",
                floor=Under(note="1 by definition"),
            ),
        }

    def manifolds(self) -> dict[str, Found]:
        """Precision, recall, density and coverage."""
        found = manifolds(self.features["real"], self.features["synthetic"])
        under = manifolds(*self._floor_features()) if len(self.floor.first) else None
        note = f"balls to the {NEIGHBOURS}th nearest neighbour"
        rows = {}
        for name in ("precision", "recall", "density", "coverage"):
            interval = None
            if name in found.of_real:
                interval = self.patients.interval(self.patients.means(found.of_real[name]))
            told = (
                self._of_interval if name in found.of_real else "no interval: fewer patients have fewer balls"
            )
            floor = self._floor_of(getattr(under, name) if under else None)
            rows[name] = Found(getattr(found, name), f"{note}; {told}", interval=interval, floor=floor)
        return rows

    def classifier(self) -> dict[str, Found]:
        """AUC of a classifier that tells real from synthetic images of patients that it was not trained on."""
        halves = self._halves(self.sides.held_out.patients)
        if halves is None:
            reason = "a classifier needs two held-out patients: one to be trained on, one to be judged on"
            return {"AUC": Found(None, f"not measured: {reason}")}
        fake = self.features["synthetic"]
        of_fake = np.random.default_rng(self.seed).permutation(len(fake)) % 2 == 0
        below = told_apart(self.features["real"], halves, fake, of_fake)
        note = (
            "logistic regression on the features, trained on half of the patients and judged on the others, both ways; "
            f"0.5 is ideal; {self._of_interval}"
        )
        return {
            "AUC": Found(
                float(below.mean()),
                note,
                interval=self.patients.interval(self.patients.means(below)),
                floor=self._auc_floor(),
            )
        }

    def utility(self) -> dict[str, Found]:
        """AUC of a classifier of the classes, trained on synthetic images and judged on held-out patients; and the
        ceiling: the same, trained on as many real images. Nothing where the images have no classes.
        """
        sides = self.sides
        if not sides.fake_classes or not sides.held_out.classes:
            return {}
        classes = sorted(set(sides.fake_classes) & set(sides.held_out.classes))
        if len(classes) < 2:
            reason = f"the held-out images show {len(set(sides.held_out.classes))} of the classes"
            return {name: Found(None, f"not measured: {reason}") for name in ("utility", "utility ceiling")}
        other = sides.other
        trained = {"utility": ("synthetic", sides.fake_classes)}
        if other is not None and set(classes) <= set(other.classes):
            trained["utility ceiling"] = ("other", other.classes)
        rows = {}
        for name, (role, names) in trained.items():
            value, interval, count = self._judged(role, names, classes)
            note = (
                f"AUC, mean over {len(classes)} classes: logistic regression on the features of {count} "
                f"{'synthetic images' if role == 'synthetic' else f'{sides.image_kind} images of training patients'}; "
                f"chance is 0.5; {self._of_interval}"
            )
            floor_note = "see utility ceiling" if role == "synthetic" else "is what utility is compared with"
            rows[name] = Found(value, note, interval=interval, floor=Under(note=floor_note))
        if "utility ceiling" not in rows:
            reason = "no images of training patients of each class"
            rows["utility ceiling"] = Found(None, f"not measured: {reason}")
        return rows

    def memorization(self) -> dict[str, Found]:
        """The share of synthetic images that are nearer to training patients than to held-out ones."""
        sides = self.sides
        if sides.other is None or len(sides.other.images) < FEWEST:
            reason = "no images that were trained on" if sides.other is None else self.floor.note
            return {"memorized share": Found(None, f"not measured: {reason}")}
        n = len(sides.other.images)
        train_patients = resampling(sides.other.patients, self.seed + 1)
        held_out_patients = resampling(sides.held_out.patients[:n], self.seed)
        train = nearest(
            self.features["synthetic"], self.features["other"], train_patients.of, train_patients.count
        )
        held_out = nearest(
            self.features["synthetic"],
            self.features["real"][:n],
            held_out_patients.of,
            held_out_patients.count,
        )
        pixels = {role: as_vectors(images) for role, images in sides.groups.items()}
        in_pixels = _share(pixels["synthetic"], pixels["other"], pixels["real"][:n])
        several = min(train_patients.count, held_out_patients.count) > 1
        told = "95 % over the patients of both sides" if several else f"{ONE_PATIENT} on one side"
        note = (
            f"nearest of {n} images on each side, of {train_patients.patients} training and "
            f"{held_out_patients.patients} held-out patient(s); {in_pixels:.0%} in pixels; 50% is ideal; {told}"
        )
        return {
            "memorized share": Found(
                nearer_fraction(train, held_out),
                note,
                interval=nearer_interval(train, held_out, train_patients, held_out_patients),
                floor=self._memorized_floor(),
            )
        }

    @property
    def _of_interval(self) -> str:
        if self.patients.count < 2:
            return f"{ONE_PATIENT} says nothing about others"
        return f"95 % over {self.patients.patients} patients"

    def _floor_features(self) -> tuple[Features, Features]:
        return self.features["real"][self.floor.first], self.features[self.floor.role][self.floor.second]

    def _floor_of(self, value: float | None, sd: float | None = None) -> Under:
        """What was measured between the two groups of the floor."""
        return Under(value, self.floor.note, len(self.floor.first), sd)

    def _halves(self, patients: tuple[str, ...]) -> NDArray[np.bool_] | None:
        """Two groups of whole patients; None where one would be too small."""
        half = half_of_patients(patients)
        return half if min(half.sum(), (~half).sum()) >= LEAST_IN_HALF else None

    def _auc_floor(self) -> Under:
        floor = self.floor
        if not len(floor.first):
            return Under(note=floor.note)
        sides = [(self.sides.patients("real"), floor.first), (self.sides.patients(floor.role), floor.second)]
        halves = [self._halves(tuple(of[at] for at in places)) for of, places in sides]
        if halves[0] is None or halves[1] is None:
            return Under(note="no floor: it needs two patients in each group")
        first, second = self._floor_features()
        return self._floor_of(float(told_apart(first, halves[0], second, halves[1]).mean()))

    def _judged(
        self, role: str, names: tuple[str, ...], classes: list[str]
    ) -> tuple[float, tuple[float, float] | None, int]:
        """AUC and interval on the held-out images of a classifier trained on one role; and on how many images."""
        chosen = np.array([name in classes for name in names])
        judged = np.array([name in classes for name in self.sides.held_out.classes])
        labels = class_numbers([name for name in names if name in classes], classes)
        model = fit(self.features[role][chosen], labels, len(classes))
        truth = class_numbers([name for name in self.sides.held_out.classes if name in classes], classes)
        patients = resampling(
            [
                patient
                for patient, is_judged in zip(self.sides.held_out.patients, judged, strict=True)
                if is_judged
            ],
            self.seed,
        )
        value, interval = class_auc(model.scores(self.features["real"][judged]), truth, patients)
        return value, interval, int(chosen.sum())

    def _memorized_floor(self) -> Under:
        """The same share of real images: one half of the held-out patients between training patients and the rest."""
        first = half_of_patients(self.sides.held_out.patients)
        n = min(int((~first).sum()), len(self.features["other"]))
        if min(int(first.sum()), n) < FEWEST:
            return Under(note="no floor: it needs two held-out patients")
        real = self.features["real"]
        return Under(
            _share(real[first], self.features["other"][:n], real[~first][:n]),
            f"half of the held-out patients in place of the synthetic images, {n} images on each side",
            n,
        )


def _share(queries: Features, train: Features, held_out: Features) -> float:
    return nearer_fraction(
        *(nearest(queries, side, np.zeros(len(side), np.int64), 1) for side in (train, held_out))
    )


def as_vectors(images: Tensor) -> Features:
    """(N, 1, H, W) to (N, d) float32: the pixels, at most COMPARED a side."""
    size = images.shape[-1]
    if size > COMPARED:
        images = torch.cat(
            [
                functional.adaptive_avg_pool2d(some, COMPARED)
                for some in torch.split(images, FEWEST * COMPARED)
            ]
        )
    vectors: Features = images.detach().float().cpu().flatten(1).numpy()
    return vectors
