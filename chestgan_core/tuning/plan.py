"""What a study does: which experiment, over which space, with what budget a trial, judged how.

In: an experiment, a search space and what a person asks for. Out: a frozen StudyPlan, which the study's storage keeps
as JSON, so that every worker reads the same one; its name; and the experiment that a trial trains.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chestgan_core.config.experiment import Experiment
from chestgan_core.config.training_plan import Validation
from chestgan_core.config.yaml_models import Section
from chestgan_core.store.artefacts import content_version
from chestgan_core.training.version import VERSION as TRAINING_VERSION
from chestgan_core.tuning.space import SearchSpace, Value
from chestgan_core.tuning.version import VERSION

# Of the experiment's own budget, where nobody says how long a trial is.
SHARE = 0.1
NEVER = 2**53
ROWS = 16  # of the history of a trial: a collapse is seen in them


class Wanted(Section):
    """What a person asks for. trials: that end, however often some are tried. minutes, images (seen): of each trial; by
    default a tenth of the experiment's budget. looks: scores of a trial, evenly over its budget. pruner: who ends a
    trial early, median (worse than half of the others were at that look) or hyperband.
    """

    trials: Annotated[int, Field(ge=1)] = 20
    minutes: Annotated[float, Field(gt=0)] | None = None
    images: Annotated[int, Field(ge=1)] | None = None
    looks: Annotated[int, Field(ge=1)] = 8
    pruner: Literal["median", "hyperband", "none"] = "median"


class Data(Section):
    """The slices that all trials train on and are judged by. version: of the training set, or a hash of loose files.
    image_kind: how images that are not synthetic are called. Patients and slices of both sides.
    """

    version: str
    title: str
    image_kind: str
    patients: Annotated[int, Field(ge=1)]
    slices: Annotated[int, Field(ge=1)]
    held_out_patients: Annotated[int, Field(ge=1)]
    held_out_slices: Annotated[int, Field(ge=1)]


class StudyPlan(Section):
    """minutes, images: budget of a trial, the first that is reached. score_images: on each side of a KID, at most."""

    experiment: Experiment
    space: SearchSpace
    data: Data
    minutes: Annotated[float, Field(gt=0)] | None
    images: Annotated[int, Field(ge=1)] | None
    looks: Annotated[int, Field(ge=1)]
    score_images: Annotated[int, Field(ge=8)]
    pruner: Literal["median", "hyperband", "none"]

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.minutes is None and self.images is None:
            raise ValueError("a trial needs minutes or images")
        return self

    @classmethod
    def of(cls, experiment: Experiment, space: SearchSpace, data: Data, wanted: Wanted) -> Self:
        """The plan of a study of this experiment on these slices."""
        plan = experiment.training
        minutes, images = wanted.minutes, wanted.images
        if minutes is None and images is None:
            seen = [plan.images, None if plan.epochs is None else round(plan.epochs * data.slices)]
            minutes = None if plan.minutes is None else plan.minutes * SHARE
            images = min(
                (max(1, round(SHARE * number)) for number in seen if number is not None), default=None
            )
        score = plan.validation.images if plan.validation else Validation(every_images=1).images
        return cls(
            # Name and description of the experiment say nothing about its trials.
            experiment=experiment,
            space=space,
            data=data,
            minutes=minutes,
            images=images,
            looks=wanted.looks,
            score_images=score,
            pruner=wanted.pruner,
        )

    @property
    def study(self) -> str:
        """16 hexadecimal digits of what decides the score of a trial, and which trials are drawn."""
        told = self.model_dump(mode="json", exclude={"experiment": True, "space": {"name", "description"}})
        decided = {
            **told,
            "experiment": self.experiment.fingerprint(),
            "extractor": self.experiment.evaluation.extractor,
            "versions": [VERSION, TRAINING_VERSION],
        }
        return content_version(decided)

    @property
    def name(self) -> str:
        """The name of the study in its storage."""
        return f"{self.experiment.name}-{self.study}"

    @property
    def budget(self) -> str:
        """The budget of a trial in words."""
        told = [] if self.minutes is None else [f"{self.minutes:g} minutes"]
        told += [] if self.images is None else [f"{self.images:,} images"]
        return " or ".join(told)

    def trial_experiment(self, drawn: Mapping[str, Value], what: object) -> Experiment:
        """What a trial trains: the drawn values, the study's budget and looks, nothing kept. Raises BadExperiment."""
        chosen = self.space.experiment(self.experiment, drawn, what)
        rows = chosen.training.sample_every_images
        if self.images is not None:
            rows = min(rows, max(1, self.images // ROWS))
        training = {
            "minutes": self.minutes,
            "images": self.images,
            "epochs": None,
            "validation": Validation(every_images=NEVER, images=self.score_images),
            "checkpoint_every_images": NEVER,
            "sample_every_images": rows,
            "snapshots": 0,
        }
        return chosen.model_copy(update={"training": chosen.training.model_copy(update=training)})

    def tuned_experiment(self, drawn: Mapping[str, Value], what: object) -> Experiment:
        """The experiment with drawn values, and its own budget. Raises BadExperiment."""
        return self.space.experiment(self.experiment, drawn, what)
