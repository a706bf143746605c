"""Membership attacks on a report's synthetic images and on the discriminator of their training.

In: a report with its images and features, real images of both sides of the training. Out: the report with rows, block
and curves of the attacks. An attack that cannot be run is left out with the reason; with too few patients there are
rows without a value, which no rule judges.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from chestgan_core.errors import BadInput
from chestgan_core.evaluation.scoring.attack_block import (
    BLIND,
    CALIBRATED,
    DENSITY,
    DISCRIMINATOR,
    MONTE_CARLO,
    NEAREST,
    Attack,
    AttackBlock,
    AttackCounts,
    AttackResult,
    Found,
    Space,
)
from chestgan_core.evaluation.scoring.attack_sides import MAX_IMAGES, AttackSides, KnownImages, attack_sides
from chestgan_core.evaluation.scoring.feature_metrics import Features, as_vectors
from chestgan_core.evaluation.scoring.known_features import features_again
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.metric_rows import NOT_ASKED, FloorValue, Measurement, RowContext
from chestgan_core.evaluation.scoring.tumour_block import Estimate
from chestgan_core.evaluation.thesis.measuring import RunDiscriminator
from chestgan_core.metrics.attacks.scores import (
    Scores,
    blind_score,
    calibrated_score,
    density_score,
    distances,
    monte_carlo_score,
    nearest_score,
)
from chestgan_core.metrics.attacks.telling import (
    ENOUGH_OTHERS,
    Told,
    by_chance,
    critical,
    scored,
    told,
)
from chestgan_core.metrics.feature_extractors import Extractor
from chestgan_core.training.discriminator_logits import discriminator_logits

if TYPE_CHECKING:
    from chestgan_core.evaluation.scoring.evaluate import FeatureSource

AUC, TRUE_POSITIVES = "attack AUC", "attack true positives"
# The instrument of the rows: raise the number when an attack changes.
INSTRUMENT = "attacks:1"
LEVEL = 0.95
SPACES: tuple[Space, ...] = ("features", "pixels")


@dataclass(frozen=True)
class AttackCurves:
    """ROC curves of one attack, for the figure. control: of the same attack by patient and by slice."""

    result: AttackResult
    by_patient: Told
    by_slice: Told
    control_by_patient: Told
    control_by_slice: Told


@dataclass(frozen=True)
class _Run:
    """One attack before it is judged. scores: (Q,) of members, others and control, in this order."""

    attack: Attack
    space: Space
    scores: Scores


def with_attacks(
    report: MetricReport,
    trained: KnownImages,
    held_out: KnownImages,
    *,
    discriminator: RunDiscriminator,
    features_of: "FeatureSource",
    images: int,
    seed: int,
    snapshot: str = "",
    more: Callable[[], Tensor] | None = None,
) -> MetricReport:
    """The report with what attacks found.

    Args:
        report: Of evaluate(); its synthetic images, and their features, are attacked.
        trained: Images of the patients that the generator was trained on.
        held_out: Of patients that it was not trained on.
        discriminator: Of the same training, or why there is none.
        features_of: Computes features of real images, or takes them from a cache.
        images: Maximum of each real side.
        seed: Of every random draw.
        snapshot: Version of the training set.
        more: Makes further synthetic images as published, (M, 1, R, R); called where there are enough patients.
    """
    sides = attack_sides(trained, held_out, images, seed)
    split = report.rows[0].split if report.rows else ""
    if isinstance(sides, str):
        context = RowContext(INSTRUMENT, (0, 0), split, snapshot, seed)
        absent = {name: Measurement(None, f"{NOT_ASKED}{sides}") for name in (AUC, TRUE_POSITIVES)}
        return replace(report, rows=(*report.rows, *context.rows(lambda: absent)))
    compared, further = report.pictures.grey["synthetic"], report.pictures.further
    fake = torch.cat([some for some in (compared, further, more() if more else None) if some is not None])
    attacked = _Attacked(report, sides, fake[: max(len(compared), MAX_IMAGES)], features_of)
    counts = (len(sides.members) + len(sides.others), len(attacked.fake))
    context = RowContext(INSTRUMENT, counts, split, snapshot, seed)
    judged: list[tuple[AttackBlock, tuple[AttackCurves, ...]]] = []

    def measure() -> dict[str, Measurement]:
        found = attacked.run(discriminator)
        if isinstance(found, str):
            return {name: Measurement(None, f"not measured: {found}") for name in (AUC, TRUE_POSITIVES)}
        judged.append(_judged(attacked, found, seed))
        return _measurements(judged[0][0])

    rows = context.rows(measure)
    block, curves = judged[0] if judged else (None, ())
    pictures = replace(report.pictures, attacks=curves)
    return replace(report, rows=(*report.rows, *rows), attacks=block, pictures=pictures)


class _Attacked:
    """The vectors of all images of an attack, and the attacks on them. left_out: which could not be run, and why."""

    def __init__(
        self, report: MetricReport, sides: AttackSides, fake: Tensor, features_of: "FeatureSource"
    ) -> None:
        self.report, self.sides, self.fake = report, sides, fake
        self.left_out: list[tuple[str, str]] = []
        self.instruments: list[str] = []
        self._real = torch.cat([of.images for of in (sides.others, sides.control, sides.reference)])
        self._vectors: dict[Space, tuple[Features, Features]] = {
            "pixels": (
                as_vectors(torch.cat([sides.members.images, self._real])),
                as_vectors(fake),
            )
        }
        if (extractor := report.pictures.extractor) is not None:
            real = [
                self._of_real(extractor, role, some, features_of)
                for role, some in (("other", sides.members.images), ("real", self._real))
            ]
            known = report.pictures.features["synthetic"]
            rest = fake[len(known) :]
            made = [extractor.features(rest, label="features  synthetic, attacked")] if len(rest) else []
            # In the units of the spread of the reference: whoever attacks has no other patients.
            unit = real[1][len(sides.others) + len(sides.control) :]
            self._vectors["features"] = (
                extractor.comparable(np.concatenate(real), unit),
                extractor.comparable(np.concatenate([known, *made]), unit),
            )
            self.instruments.append(extractor.id)

    def _of_real(
        self, extractor: Extractor, role: str, images: Tensor, features_of: "FeatureSource"
    ) -> Features:
        """Those that the report has are not computed again."""
        pictures = self.report.pictures

        def compute(some: Tensor) -> Features:
            return features_of(extractor, role, some, f"features  {self.report.image_kind}, attacked")

        if role not in pictures.features:
            return compute(images)
        return features_again(images, (pictures.grey[role], pictures.features[role]), compute)

    @property
    def asked(self) -> int:
        """How many images are asked about: those of members, others and control."""
        return len(self.sides.members) + len(self.sides.others) + len(self.sides.control)

    def run(self, discriminator: RunDiscriminator) -> "tuple[list[_Run], _Run] | str":
        """All attacks that can be run, and the blind one; or why there is none."""
        spaces = {space: pair for space, pair in self._vectors.items() if self._usable(space, pair)}
        if not spaces:
            return "; ".join(reason for _, reason in self.left_out)
        # Features first: distances between them are those that the report prints.
        ordered = [space for space in SPACES if space in spaces]
        runs = [
            run for space in ordered for run in self._of_images(space, *spaces[space], space == ordered[0])
        ]
        blind = next(run for run in runs if run.attack == BLIND)
        runs = [run for run in runs if run.attack != BLIND]
        runs += self._of_discriminator(discriminator)
        return runs, blind

    def _usable(self, space: Space, pair: tuple[Features, Features]) -> bool:
        if all(np.isfinite(one).all() for one in pair):
            return True
        self.left_out.append((f"attacks on {space}", f"{space} are not all finite numbers"))
        return False

    def _of_images(self, space: Space, real: Features, fake: Features, first: bool) -> Iterator[_Run]:
        asked, reference = real[: self.asked], real[self.asked :]
        found = distances(asked, fake, reference)
        yield _Run(CALIBRATED, space, calibrated_score(found))
        if not first:  # of two spaces, the others would say nearly the same in both
            return
        yield _Run(NEAREST, space, nearest_score(found))
        yield _Run(MONTE_CARLO, space, monte_carlo_score(found))
        if len(reference) > 1:
            yield _Run(DENSITY, space, density_score(asked, fake, reference))
        else:
            self.left_out.append((DENSITY, "the reference has one image"))
        yield _Run(BLIND, space, blind_score(found))

    def _of_discriminator(self, discriminator: RunDiscriminator) -> list[_Run]:
        loaded, sides = discriminator.loaded, self.sides
        if loaded is None:
            self.left_out.append((DISCRIMINATOR, discriminator.reason))
            return []
        try:
            logits = np.concatenate(
                [
                    discriminator_logits(loaded, of.images, of.conditions)
                    for of in (sides.members, sides.others, sides.control)
                ]
            )
        except BadInput as error:
            self.left_out.append((DISCRIMINATOR, f"{error.what} {error.cause}"))
            return []
        if not np.isfinite(logits).all():
            self.left_out.append((DISCRIMINATOR, "its outputs are not all finite numbers"))
            return []
        self.instruments.append(f"discriminator:{loaded.sha256[:12]}")
        return [_Run(DISCRIMINATOR, "discriminator", logits.astype(np.float64))]


def _judged(
    attacked: _Attacked, found: tuple[list[_Run], _Run], seed: int
) -> tuple[AttackBlock, tuple[AttackCurves, ...]]:
    """How well each attack tells members from others, and control from others."""
    runs, blind = found
    sides, z = attacked.sides, critical(LEVEL, len(runs))
    ends = np.cumsum([0, len(sides.members), len(sides.others), len(sides.control)])
    patients = [np.array(of.patients) for of in (sides.members, sides.others, sides.control)]

    def judge(run: _Run) -> AttackCurves:
        of = [scored(run.scores[a:b], who) for a, b, who in zip(ends, ends[1:], patients, strict=False)]
        members, others, control = of
        by_slice = [told(one, others, seed, z) for one in (members, control)]
        by_patient = [told(one.by_patient(), others.by_patient(), seed, z) for one in (members, control)]
        result = AttackResult(
            run.attack,
            run.space,
            by_patient=_found(by_patient[0]),
            by_slice=_found(by_slice[0]),
            control_by_patient=_found(by_patient[1]),
            control_by_slice=_found(by_slice[1]),
        )
        return AttackCurves(result, by_patient[0], by_slice[0], by_patient[1], by_slice[1])

    curves = tuple(judge(run) for run in runs)
    others = len(set(sides.others.patients))
    block = AttackBlock(
        members=_counts(sides.members),
        others=_counts(sides.others),
        reference=_counts(sides.reference),
        control=_counts(sides.control),
        slices=sides.slices,
        synthetic=len(attacked.fake),
        results=tuple(one.result for one in curves),
        blind=judge(blind).result,
        left_out=tuple(attacked.left_out),
        instruments=tuple(attacked.instruments),
        by_chance=by_chance(others),
        enough_others=others >= ENOUGH_OTHERS,
        image_kind=attacked.report.image_kind,
    )
    return block, curves


def _measurements(block: AttackBlock) -> dict[str, Measurement]:
    """The rows: the attack with the highest AUC by patient, beside its control."""
    best, doubt = block.best, block.doubt(block.best)
    shown = f"{best.title}, the best of {len(block.results)} attacks on {block.synthetic:,} synthetic images"
    counts = (
        f"{block.members.patients} patients trained on against {block.others.patients} others, at most {block.slices}"
        f" slices of each, a reference of {block.reference.patients}"
    )
    level = f"95 % over the patients of both sides, for all {len(block.results)} at once (Bonferroni)"
    control = best.control_by_patient
    refused = f"not to be trusted: {doubt}" if doubt else ""
    found, n = best.by_patient, block.control.slices
    who = f"the same attack on a control of {block.control.patients} patients, who were not trained on"
    values = {
        AUC: (found.auc, control.auc, f"{who}: {control.auc.shown()}", "0.5 is chance"),
        TRUE_POSITIVES: (found.true_positives, control.true_positives, who, block.true_positives_said),
    }
    return {
        name: Measurement(
            None if refused else estimate.value,
            refused or f"{shown}; {counts}; {about}; {level}",
            interval=None if estimate.low is None or estimate.high is None else (estimate.low, estimate.high),
            floor=FloorValue(floor.value, floor_note, n),
        )
        for name, (estimate, floor, floor_note, about) in values.items()
    }


def _found(one: Told) -> Found:
    return Found(
        Estimate(one.auc, *one.auc_interval), Estimate(one.true_positives, *one.true_positives_interval)
    )


def _counts(side: KnownImages) -> AttackCounts:
    return AttackCounts(len(set(side.patients)), len(side))
