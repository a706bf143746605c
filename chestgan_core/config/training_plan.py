"""The training of an experiment: loss, augmentation, optimizer, budget. The section `training` of its YAML file.

In: fields. Out: a frozen, validated TrainingPlan. Imports nothing heavy: the pipeline reads it for every experiment.
"""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from chestgan_core.config.yaml_models import Section

# Fields that may change when a training is resumed: when it ends and what it records, not what it learns.
FREE_ON_RESUME = frozenset(
    {"minutes", "images", "epochs", "checkpoint_every_images", "sample_every_images", "snapshots"}
)

Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
LearningRate: TypeAlias = Annotated[float, Field(gt=0, lt=1)]


class CrossEntropy(Section):
    """The non-saturating loss (Goodfellow et al. 2014, arXiv 1406.2661).

    real_targets, fake_targets: targets of D, drawn between the two numbers for each batch (label smoothing).
    smoothed_generator: G has the same real target, as in the thesis system; otherwise 1. update_above: D is updated
    only with batches on which its loss is above this (the thesis system: 0.1).
    """

    kind: Literal["cross-entropy"]
    real_targets: tuple[Fraction, Fraction] = (1.0, 1.0)
    fake_targets: tuple[Fraction, Fraction] = (0.0, 0.0)
    smoothed_generator: bool = False
    update_above: Annotated[float, Field(ge=0)] = 0.0


class Wasserstein(Section):
    """The Wasserstein loss (Arjovsky et al. 2017, arXiv 1701.07875), with one of two constraints on the critic.

    clip: maximum absolute value of its weights. gradient_penalty: weight of the gradient penalty (Gulrajani et al.
    2017, arXiv 1704.00028).
    """

    kind: Literal["wasserstein"]
    clip: Annotated[float, Field(gt=0)] | None = None
    gradient_penalty: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _holds_the_critic_smooth(self) -> Self:
        if (self.clip is None) == (self.gradient_penalty is None):
            raise ValueError("give clip or gradient_penalty, one of them")
        return self


class Hinge(Section):
    """The hinge loss, with a margin of 1 (Lim and Ye 2017, arXiv 1705.02894)."""

    kind: Literal["hinge"]


class Relativistic(Section):
    """The relativistic pairing loss (Jolicoeur-Martineau 2019, arXiv 1807.00734) with zero-centred gradient penalties
    at real (R1) and generated images (R2).

    gamma: weight of both penalties at the start and at the end of the planned training; it needs to grow with the
    resolution: 1 at 64, 8 at 128, 60 at 256 pixels. penalty_every: steps from one penalty to the next, which is
    weighted accordingly: its second backward pass costs more than the step itself.
    """

    kind: Literal["relativistic"]
    gamma: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]
    penalty_every: Annotated[int, Field(ge=1)] = 1


Loss: TypeAlias = Annotated[CrossEntropy | Wasserstein | Hinge | Relativistic, Field(discriminator="kind")]


class Augmentation(Section):
    """Random changes to every image that D sees, real or generated (DiffAugment, Zhao et al. 2020, arXiv 2006.10738).
    Without flips and rotations: they would leak into generated images, with hearts on the right.

    probability: fraction of the batches. translation: maximum shift, as a fraction of the side; air is shifted in.
    cutout: side of the blanked square, as a fraction of the side. brightness: maximum shift of the grey levels, as a
    fraction of their range. contrast: maximum change of their distance from the mean, as a factor. Both are small,
    because Hounsfield units have a meaning.
    """

    probability: Fraction = 1.0
    translation: Annotated[float, Field(ge=0, lt=0.5)] = 0.125
    cutout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    brightness: Annotated[float, Field(ge=0, lt=1)] = 0.05
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Optimizer(Section):
    """The optimizer of G and D. lr and beta2 change to their final values along half a cosine over the planned
    training.

    discriminator_lr: where D has another learning rate; it falls by the same factor.
    """

    kind: Literal["adam", "rmsprop"] = "adam"
    lr: LearningRate = 2e-4
    final_lr: LearningRate | None = None
    discriminator_lr: LearningRate | None = None
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.5
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    final_beta2: Annotated[float, Field(ge=0, lt=1)] | None = None


class Sampling(Section):
    """How slices are drawn into batches. balance: `classes` draws all classes equally often.

    max_slices_per_patient: a patient with more slices is drawn as if it had this many; otherwise a series of 852 slices
    would dominate.
    """

    balance: Literal["none", "classes"] = "none"
    max_slices_per_patient: Annotated[int, Field(ge=1)] | None = None


class Validation(Section):
    """Validation during training; the generator with the lowest KID against held-out patients is kept.

    every_images: images seen between two validations. images: maximum number on each side. patience: validations
    without a better KID until the training stops early. The same patients select and evaluate the generator, which
    favours it a little.
    """

    every_images: Annotated[int, Field(ge=1)]
    images: Annotated[int, Field(ge=8)] = 200
    patience: Annotated[int, Field(ge=1)] | None = None


class TrainingPlan(Section):
    """The whole plan. The budget ends with what is reached first: minutes, images (seen) or epochs (over all slices).

    critic_steps: steps of D per step of G. ema_images: half-life of the exponential moving average of G's weights, in
    images seen; 0: no average. max_grad_norm: maximum norm of a network's gradient, which is clipped. instance_noise:
    standard deviation of the noise on all images that D sees, which are in [-1, 1]; it halves every
    instance_noise_half_life images seen (0: it is constant). checkpoint_every_images, sample_every_images: images seen
    between two checkpoints, and between two rows of the history with their sample images. snapshots: number of earlier
    generators that are kept with the run, evenly spaced. precision: bf16 runs the networks in bfloat16, but never the
    penalties; auto does so where the hardware supports it, which is 1.4 to 1.8 times faster on a CPU that does.
    """

    loss: Loss = CrossEntropy(kind="cross-entropy")
    augmentation: Augmentation | None = None
    optimizer: Optimizer = Optimizer()
    sampling: Sampling = Sampling()
    validation: Validation | None = None
    batch_size: Annotated[int, Field(ge=2, le=4096)] = 32
    critic_steps: Annotated[int, Field(ge=1, le=100)] = 1
    max_grad_norm: Annotated[float, Field(gt=0)] | None = None
    instance_noise: Annotated[float, Field(ge=0, lt=2)] = 0.0
    instance_noise_half_life: Annotated[int, Field(ge=0)] = 0
    ema_images: Annotated[int, Field(ge=0)] = 2_000
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    minutes: Annotated[float, Field(gt=0)] | None = None
    images: Annotated[int, Field(ge=1)] | None = None
    epochs: Annotated[float, Field(gt=0)] | None = None
    checkpoint_every_images: Annotated[int, Field(ge=1)] = 10_000
    sample_every_images: Annotated[int, Field(ge=1)] = 4_000
    snapshots: Annotated[int, Field(ge=0, le=64)] = 0

    @model_validator(mode="after")
    def _optimizer_can_skip_steps(self) -> Self:
        if isinstance(self.loss, CrossEntropy) and self.loss.update_above and self.optimizer.kind != "adam":
            raise ValueError(
                f"loss.update_above needs an optimizer that can skip a step, and {self.optimizer.kind} cannot; "
                "set optimizer.kind to adam, or leave loss.update_above out"
            )
        return self

    @model_validator(mode="after")
    def _has_a_budget(self) -> Self:
        if self.minutes is None and self.images is None and self.epochs is None:
            raise ValueError("give a budget: minutes, images (seen), epochs, or several of them")
        return self
