"""The plan of a study: experiment, search space, budget per trial, and how trials are scored.

In: an experiment, a search space and the settings of a study. Out: a frozen StudyPlan, which the study's storage keeps
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

# Default budget of a trial, as a fraction of the experiment's own budget.
TRIAL_FRACTION = 0.1
NEVER = 2**53
MIN_HISTORY_ROWS = 16  # of a trial: the check for a collapse needs them


class StudySettings(Section):
    """What the user chooses for a study.

    trials: complete or pruned trials that the study is to have; lost attempts do not count. minutes, images (seen): of
    each trial; by default a tenth of the experiment's budget. validations: scores per trial, evenly over its budget.
    pruner: stops poor trials early, median (worse than half of the others at the same validation) or hyperband.
    """

    trials: Annotated[int, Field(ge=1)] = 20
    minutes: Annotated[float, Field(gt=0)] | None = None
    images: Annotated[int, Field(ge=1)] | None = None
    validations: Annotated[int, Field(ge=1)] = 8
    pruner: Literal["median", "hyperband", "none"] = "median"


class StudyData(Section):
    """The slices that all trials train on and are scored against, with patients and slices of both sides.

    version: of the training set, or a hash of the slices for loose files. image_kind: "real" or "phantom".
    """

    version: str
    title: str
    image_kind: str
    patients: Annotated[int, Field(ge=1)]
    slices: Annotated[int, Field(ge=1)]
    held_out_patients: Annotated[int, Field(ge=1)]
    held_out_slices: Annotated[int, Field(ge=1)]


class StudyPlan(Section):
    """minutes, images: budget of a trial, whichever is reached first. score_images: maximum on each side of a KID."""

    experiment: Experiment
    space: SearchSpace
    data: StudyData
    minutes: Annotated[float, Field(gt=0)] | None
    images: Annotated[int, Field(ge=1)] | None
    validations: Annotated[int, Field(ge=1)]
    score_images: Annotated[int, Field(ge=8)]
    pruner: Literal["median", "hyperband", "none"]

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.minutes is None and self.images is None:
            raise ValueError("a trial needs minutes or images")
        return self

    @classmethod
    def of(cls, experiment: Experiment, space: SearchSpace, data: StudyData, settings: StudySettings) -> Self:
        """The plan of a study of this experiment on these slices. Raises BadSpace: nothing of the space fits them."""
        plan = experiment.training
        minutes, images = settings.minutes, settings.images
        if minutes is None and images is None:
            seen = [plan.images, None if plan.epochs is None else round(plan.epochs * data.slices)]
            minutes = None if plan.minutes is None else plan.minutes * TRIAL_FRACTION
            images = min(
                (max(1, round(TRIAL_FRACTION * number)) for number in seen if number is not None),
                default=None,
            )
        score = plan.validation.images if plan.validation else Validation(every_images=1).images
        return cls(
            experiment=experiment,
            space=space.fitting(experiment, data.slices),
            data=data,
            minutes=minutes,
            images=images,
            validations=settings.validations,
            score_images=score,
            pruner=settings.pruner,
        )

    @property
    def study(self) -> str:
        """16 hexadecimal digits of what decides the score of a trial, and which trials are drawn."""
        fields = self.model_dump(mode="json", exclude={"experiment": True, "space": {"name", "description"}})
        return content_version(
            {
                **fields,
                "experiment": self.experiment.fingerprint(),
                "extractor": self.experiment.evaluation.extractor,
                "versions": [VERSION, TRAINING_VERSION],
            }
        )

    @property
    def name(self) -> str:
        """The name of the study in its storage."""
        return f"{self.experiment.name}-{self.study}"

    @property
    def budget(self) -> str:
        """The budget of a trial as people read it: `6 minutes or 2,000 images`."""
        parts = [] if self.minutes is None else [f"{self.minutes:g} minutes"]
        parts += [] if self.images is None else [f"{self.images:,} images"]
        return " or ".join(parts)

    def trial_experiment(self, drawn: Mapping[str, Value], what: object) -> Experiment:
        """What a trial trains: the drawn values and the study's budget, without checkpoints. Raises BadExperiment."""
        chosen = self.space.experiment(self.experiment, drawn, what)
        rows = chosen.training.sample_every_images
        if self.images is not None:
            rows = min(rows, max(1, self.images // MIN_HISTORY_ROWS))
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
