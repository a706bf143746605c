"""The slices of a study: loaded once, for all trials of a process.

In: shards of slices to train on and of held-out slices. Out: the StudyData that describes them in a plan, the KID
floor, and the inputs of trials.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.metrics.feature_extractors import Extractor, open_extractor
from chestgan_core.slices.marks import SliceMarks
from chestgan_core.training.checkpoint import data_fingerprint
from chestgan_core.training.data import LoadedSlices, load_held_out, load_training_slices
from chestgan_core.training.mapped_images import Images
from chestgan_core.training.validation import Validator
from chestgan_core.tuning.plan import StudyData, StudyPlan
from chestgan_core.tuning.study import KidFloor
from chestgan_core.tuning.trial import TrialInputs


class StudySlices:
    """Both sides of a split, at the resolution and through the window of an experiment.

    Raises BadInput: no slices, too small ones, a class with too few patients, a batch larger than the set, a patient or
    slice on both sides.
    """

    def __init__(
        self,
        train: Sequence[Path],
        held_out: Sequence[Path],
        experiment: Experiment,
        marks: SliceMarks | None = None,
    ) -> None:
        self.train: LoadedSlices[Images] = load_training_slices(train, experiment, marks)
        self.held_out: LoadedSlices[Images] = load_held_out(held_out, self.train, experiment, marks)
        self._experiment = experiment
        self._extractors: dict[torch.device, Extractor] = {}
        self._validators: dict[tuple[int, torch.device], Validator] = {}

    def data(self, version: str, title: str, image_kind: str) -> StudyData:
        """The description for a plan. version: "" takes a hash of the slices."""
        train, held_out = self.train, self.held_out
        if not version:
            tensors = (train.images, *train.conditions.tensors, held_out.images, *held_out.conditions.tensors)
            version = data_fingerprint(*tensors)[:16]
        return StudyData(
            version=version,
            title=title,
            image_kind=image_kind,
            patients=len(set(train.patients)),
            slices=len(train),
            held_out_patients=len(set(held_out.patients)),
            held_out_slices=len(held_out),
        )

    def validator(self, images: int, device: torch.device) -> Validator:
        """KID against at most `images` held-out slices, opened once. Raises NotAvailable: the extractor is absent."""
        key = (images, device)
        if key not in self._validators:
            extractor = self._extractor(device)
            self._validators[key] = Validator(extractor, self.held_out.images, images, self._experiment.seed)
        return self._validators[key]

    def kid_floor(self, plan: StudyPlan, device: torch.device) -> KidFloor:
        """The KID of training slices, drawn by the experiment's seed, against the held-out ones."""
        validator = self.validator(plan.score_images, device)
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(plan.experiment.seed))
        kid = validator(self.train.images[order[: plan.score_images]])
        return KidFloor(extractor=self._extractor(device).id, images=validator.count, kid=kid)

    def inputs(self, plan: StudyPlan, device: torch.device, folder: Path) -> TrialInputs:
        """For the trials of this process. folder: scratch."""
        return TrialInputs(self.train, self.validator(plan.score_images, device).score, device, folder)

    def _extractor(self, device: torch.device) -> Extractor:
        if device not in self._extractors:
            experiment = self._experiment
            extractor = open_extractor(experiment.evaluation.extractor, device, experiment.display_window)
            self._extractors[device] = extractor
        return self._extractors[device]
