"""The slices of a study: loaded once, for all trials of a process.

In: shards of slices to train on and of held-out ones. Out: the Data that a plan names them by, the yardstick of its
scores, and the material of trials.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.metrics.feature_extractors import open_extractor
from chestgan_core.training.checkpoint import fingerprint
from chestgan_core.training.data import LoadedSlices, load_slices, load_training_slices
from chestgan_core.training.validation import HeldOutJudge
from chestgan_core.tuning.plan import Data, StudyPlan
from chestgan_core.tuning.study import Yardstick
from chestgan_core.tuning.trial import Material


class Slices:
    """Both sides of a split, at the resolution and through the window of an experiment.

    Raises BadInput: no slices, too small ones, a class with too few patients, a batch larger than the set.
    """

    def __init__(self, train: Sequence[Path], held_out: Sequence[Path], experiment: Experiment) -> None:
        self.train: LoadedSlices = load_training_slices(train, experiment)
        self.held_out: LoadedSlices = load_slices(held_out, experiment)
        self._experiment = experiment

    def data(self, version: str, title: str, image_kind: str) -> Data:
        """What the plan says of them. version: "" takes a hash of the slices themselves."""
        train, held_out = self.train, self.held_out
        if not version:
            version = fingerprint(train.images, train.classes, held_out.images, held_out.classes)[:16]
        return Data(
            version=version,
            title=title,
            image_kind=image_kind,
            patients=len(set(train.patients)),
            slices=len(train),
            held_out_patients=len(set(held_out.patients)),
            held_out_slices=len(held_out),
        )

    def judge(self, images: int, device: torch.device) -> HeldOutJudge:
        """KID against held-out slices, at most so many. Raises NotAvailable: the extractor's weights are not here."""
        extractor = open_extractor(self._experiment.evaluation.extractor, device)
        return HeldOutJudge(extractor, self.held_out.images, images, self._experiment.seed)

    def yardstick(self, plan: StudyPlan, device: torch.device) -> Yardstick:
        """What real slices of other patients score: training slices, drawn by the experiment's seed."""
        judge = self.judge(plan.score_images, device)
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(plan.experiment.seed))
        floor = judge(self.train.images[order[: plan.score_images]])
        extractor = open_extractor(plan.experiment.evaluation.extractor).id
        return Yardstick(extractor=extractor, images=judge.count, floor=floor)

    def material(self, plan: StudyPlan, device: torch.device, folder: Path) -> Material:
        """For the trials of this process. folder: scratch."""
        return Material(self.train, self.judge(plan.score_images, device), device, folder)
