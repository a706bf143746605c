"""What membership attacks found, as data: every attack by slice and by patient, each beside the same on a control.

Out: plain data for JSON, and sentences about it. attack_metrics.py fills it. Imports nothing heavy.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from chestgan_core.config.dataset import ImageKind
from chestgan_core.evaluation.scoring.tumour_block import Estimate

Space: TypeAlias = Literal["features", "pixels", "discriminator"]
Attack: TypeAlias = Literal[
    "nearest synthetic image",
    "nearest synthetic image, calibrated",
    "synthetic images within a radius",
    "density ratio",
    "discriminator score",
    "no generator",
]
NEAREST: Attack = "nearest synthetic image"
CALIBRATED: Attack = "nearest synthetic image, calibrated"
MONTE_CARLO: Attack = "synthetic images within a radius"
DENSITY: Attack = "density ratio"
DISCRIMINATOR: Attack = "discriminator score"
BLIND: Attack = "no generator"
# Where each comes from, and what it asks.
ABOUT: dict[Attack, str] = {
    NEAREST: "distance to the nearest synthetic image (GAN-Leaks, Chen 2020)",
    CALIBRATED: "that distance, less that to the nearest reference image (after GAN-Leaks, Chen 2020)",
    MONTE_CARLO: "fraction of the synthetic images within a radius (Monte Carlo attack, Hilprecht 2019)",
    DENSITY: "density of synthetic over that of reference images, on principal components (DOMIAS, van Breugel 2023)",
    DISCRIMINATOR: "output of the discriminator, which is kept and not published (LOGAN, Hayes 2019)",
    BLIND: "distance to the nearest reference image, without any knowledge of the generator (after Das 2024)",
}
CHANCE = 0.5
MORE = "an attacker may have other images of a patient, more synthetic images, or a better attack."


@dataclass(frozen=True)
class Found:
    """auc: of members against others. true_positives: fraction of the members above a threshold that at most 1 % of the
    others reach.
    """

    auc: Estimate
    true_positives: Estimate

    @property
    def at_chance(self) -> bool:
        """Whether the interval of the AUC holds chance."""
        low, high = self.auc.low, self.auc.high
        return low is None or high is None or low <= CHANCE <= high


@dataclass(frozen=True)
class AttackResult:
    """One attack. control_by_patient, control_by_slice: the same with patients in place of the members who were not
    trained on either.
    """

    attack: Attack
    space: Space
    by_patient: Found
    by_slice: Found
    control_by_patient: Found
    control_by_slice: Found

    @property
    def title(self) -> str:
        """`nearest synthetic image, calibrated (pixels)`."""
        return self.attack if self.space == "discriminator" else f"{self.attack} ({self.space})"


@dataclass(frozen=True)
class AttackCounts:
    """A side of an attack."""

    patients: int
    slices: int


@dataclass(frozen=True)
class AttackBlock:
    """members: trained on; others: not. slices: at most so many of each patient. synthetic: images attacked.

    results: of each attack; blind: of one that knows nothing of the generator, which tells only what other reasons
    tell. left_out: attacks that could not be run, with the reasons. instruments: ids of the extractor and of the
    discriminator. by_chance: true positives by patient where nothing is told. enough_others: whether there are so many
    others that one of them is 1 %.
    """

    members: AttackCounts
    others: AttackCounts
    reference: AttackCounts
    control: AttackCounts
    slices: int
    synthetic: int
    results: tuple[AttackResult, ...]
    blind: AttackResult
    left_out: tuple[tuple[str, str], ...]
    instruments: tuple[str, ...]
    by_chance: float
    enough_others: bool
    image_kind: ImageKind

    def __post_init__(self) -> None:
        if not self.results:
            raise ValueError("a block of attacks has at least one result")

    @property
    def best(self) -> AttackResult:
        """The attack with the highest AUC by patient; of equal ones that with the highest lower end."""
        return max(self.results, key=lambda one: (one.by_patient.auc.value, one.by_patient.auc.low or 0.0))

    def doubt(self, one: AttackResult) -> str:
        """Why its result is not to be trusted; "" where nothing speaks against it."""
        if not one.control_by_patient.at_chance:
            auc = one.control_by_patient.auc.shown()
            return f"the same attack tells the control, who were not trained on, from the others: AUC {auc}"
        if not self.blind.by_patient.at_chance:
            auc = self.blind.by_patient.auc.shown()
            return (
                "the patients trained on differ from the others for other reasons: an attack that knows nothing of the"
                f" generator tells them apart, AUC {auc}"
            )
        return ""

    @property
    def who(self) -> str:
        """`20 patients that were trained on from 6 others`."""
        return f"{self.members.patients} patients that were trained on from {self.others.patients} others"

    @property
    def verdict(self) -> str:
        """What was found, in a sentence."""
        best, auc = self.best, self.best.by_patient.auc
        if doubt := self.doubt(best):
            return f"The attacks are not to be trusted: {doubt}. The best of them, {best.title}, has AUC {auc.shown()}."
        control = best.control_by_patient.auc.shown()
        if auc.low is not None and auc.low > CHANCE:
            return (
                f"An attack told {self.who}: {best.title}, AUC {auc.shown()} by patient; on the control, who were not"
                f" trained on, {control}."
            )
        return (
            f"No attack told {self.who} better than chance could: AUC {auc.shown()} for the best of"
            f" {len(self.results)}, {best.title}; on the control {control}."
        )

    @property
    def caution(self) -> str:
        """What the verdict does not say."""
        auc = self.best.by_patient.auc
        if auc.low is not None and auc.low > CHANCE:
            return f"Others may find more: {MORE}"
        return f"That these attacks found nothing does not show that nothing can be found: {MORE}"

    @property
    def true_positives_said(self) -> str:
        """What true positives by patient mean with so many others."""
        if self.enough_others:
            return (
                f"at 1 % false positives among {self.others.patients} others; by chance {self.by_chance:.0%}"
            )
        return (
            f"above every one of {self.others.patients} others, who are too few to show 1 % false positives; by chance"
            f" {self.by_chance:.0%}"
        )
