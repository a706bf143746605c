"""How an experiment is trained: loss, augmentation, optimizer, budget. The section `training` of its YAML file.

In: fields. Out: a frozen, validated TrainingPlan. Imports nothing heavy: the pipeline reads it for every experiment.
"""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from chestgan_core.config.yaml_models import Section

# What may change between two attempts of one training: when it ends and what it keeps for people, not what is learned.
FREE_ON_RESUME = frozenset(
    {"minutes", "images", "epochs", "checkpoint_every_images", "sample_every_images", "snapshots"}
)

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
LearningRate: TypeAlias = Annotated[float, Field(gt=0, lt=1)]


class CrossEntropy(Section):
    """The non-saturating loss of the first GAN.

    real_targets, fake_targets: the discriminator's targets, drawn anew for each batch between the two numbers.
    smoothed_generator: the generator is held to the same real target, as in the thesis; else to 1.
    update_above: the discriminator learns only from batches on which its loss is above this (the thesis' rule: 0.1).
    """

    kind: Literal["cross-entropy"]
    real_targets: tuple[Share, Share] = (1.0, 1.0)
    fake_targets: tuple[Share, Share] = (0.0, 0.0)
    smoothed_generator: bool = False
    update_above: Annotated[float, Field(ge=0)] = 0.0


class Wasserstein(Section):
    """Differences of scores. One of: clip, the largest absolute weight of the critic; gradient_penalty."""

    kind: Literal["wasserstein"]
    clip: Annotated[float, Field(gt=0)] | None = None
    gradient_penalty: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _holds_the_critic_smooth(self) -> Self:
        if (self.clip is None) == (self.gradient_penalty is None):
            raise ValueError("give clip or gradient_penalty, one of them")
        return self


class Hinge(Section):
    """Scores beyond a margin of 1 count as right (Lim and Ye 2017, arXiv 1705.02894)."""

    kind: Literal["hinge"]


class Relativistic(Section):
    """Real and generated images in pairs: how much more real is the real one (Jolicoeur-Martineau 2019, arXiv
    1807.00734), with zero-centred penalties on the slope at real (R1) and at generated images (R2).

    gamma: weight of both penalties at the start and at the end of the planned training; needs to grow with the
    resolution: 1 at 64, 8 at 128, 60 at 256 pixels. penalty_every: steps from one penalty to the next, which then
    counts as many times: the second backward pass costs more than the step itself.
    """

    kind: Literal["relativistic"]
    gamma: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]
    penalty_every: Annotated[int, Field(ge=1)] = 1


Loss: TypeAlias = Annotated[CrossEntropy | Wasserstein | Hinge | Relativistic, Field(discriminator="kind")]


class Augmentation(Section):
    """What is done, at random, to every image that the discriminator sees, real or generated (DiffAugment, Zhao et al.
    2020, arXiv 2006.10738). Neither flips nor turns: what cannot be told from the data leaks into what is generated,
    and hearts would come to lie on the right.

    probability: share of the batches. translation: largest shift, of the side; what comes in is air. cutout: side of
    the square that is blanked, of the side. brightness: largest shift of the grey levels, of their range; contrast:
    largest change of their distance from the mean, as a factor. Small ones: Hounsfield units mean something.
    """

    probability: Share = 1.0
    translation: Annotated[float, Field(ge=0, lt=0.5)] = 0.125
    cutout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    brightness: Annotated[float, Field(ge=0, lt=1)] = 0.05
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Optimizer(Section):
    """Rates go from the first to the final one along half a cosine over the planned training, and so does beta2.

    discriminator_lr: of the discriminator, where it is another one; it falls by the same factor.
    """

    kind: Literal["adam", "rmsprop"] = "adam"
    lr: LearningRate = 2e-4
    final_lr: LearningRate | None = None
    discriminator_lr: LearningRate | None = None
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.5
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    final_beta2: Annotated[float, Field(ge=0, lt=1)] | None = None


class Sampling(Section):
    """Which slices a batch is made of. classes: each class gets the same share, however many slices it has.

    max_slices_per_patient: a patient with more slices counts as if it had so many, or a series of 852 would outweigh
    all.
    """

    balance: Literal["none", "classes"] = "none"
    max_slices_per_patient: Annotated[int, Field(ge=1)] | None = None


class Validation(Section):
    """The generator that is kept: the one with the lowest KID against held-out patients.

    every_images: images seen between two looks. images: on each side, at most. patience: looks without a better one
    until the training stops early. One set of patients selects and judges then, which flatters a little.
    """

    every_images: Annotated[int, Field(ge=1)]
    images: Annotated[int, Field(ge=8)] = 200
    patience: Annotated[int, Field(ge=1)] | None = None


class TrainingPlan(Section):
    """The whole plan. The budget is what is reached first: minutes, images (seen) or epochs (over all slices).

    critic_steps: of the discriminator for each one of the generator. ema_images: half-life of the averaged weights,
    images seen; 0 publishes the weights as they are. max_grad_norm: largest norm of a network's gradient.
    instance_noise: standard deviation of the noise on all that the discriminator sees, of images in [-1, 1]; it halves
    every instance_noise_half_life images seen (0: it stays). checkpoint_every_images, sample_every_images: how often a
    state is kept and a row of history and pictures is made, images seen. snapshots: generators of earlier moments that
    stay with the run, evenly spread. precision: bf16 computes the networks in 16 bits, penalties never; auto does so
    where the hardware multiplies them, which is 1.4 to 1.8 times faster on a processor that does.
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
