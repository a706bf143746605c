"""The networks of an experiment: family and sizes. The section `network` of its YAML file.

In: fields. Out: frozen, validated sections. Imports nothing heavy: the pipeline reads them for every experiment.
"""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from chestgan_core.config.yaml_models import Section

# Modules of chestgan_core/networks/.
Family: TypeAlias = Literal["vanilla", "dcgan", "wgan", "spectral", "r3", "projected"]
# Those that take positions and maps of tumours.
DCGAN_GENERATORS: tuple[Family, ...] = ("dcgan", "wgan", "spectral", "projected")
CONDITIONED_FAMILIES: tuple[Family, ...] = ("dcgan", "spectral", "r3", "projected")


class GeneratorOptions(Section):
    """What DCGAN's generator may have besides (networks/generator_options.py).

    upsampling: transposed: by transposed convolutions, as in the paper; smoothed: with a binomial filter after each;
    resize: the nearest pixel, then a 3 x 3 convolution. modulation: batch normalization whose scale and shift depend on
    the noise. excitation: small feature maps gate large ones. noise: for each pixel. output: tanh, or linear, so that
    grey levels at the ends of the window cost nothing; images are clipped when they are published.
    """

    upsampling: Literal["transposed", "smoothed", "resize"] = "transposed"
    modulation: bool = False
    excitation: bool = False
    noise: bool = False
    output: Literal["tanh", "linear"] = "tanh"


class Projection(Section):
    """The frozen features under a discriminator of the family `projected` (Sauer et al. 2021, arXiv 2111.01007).

    features: the network, trained on ImageNet, that computes them; what it is judged by must be another one. stages: at
    which its features are taken, 1 to 4, of a quarter to a 32nd of the side. maps: feature maps of each stage after the
    random projection. size: pixels per side to which images are resized for it; null: as they are. pixel_weight: of the
    spectrally normalized discriminator of pixels beside it, whose weight against that of all heads is this to 1; 0:
    there is none. heads_rate: learning rate of the heads, as a factor. heads_every: the heads judge in one step of so
    many, and count so many times in it; the frozen features are most of a step.
    """

    features: Literal["efficientnet-lite1"] = "efficientnet-lite1"
    stages: tuple[Literal[1, 2, 3, 4], ...] = (1, 2, 3, 4)
    maps: Annotated[int, Field(ge=1, le=512)] = 64
    size: Annotated[int, Field(ge=32, le=512)] | None = None
    pixel_weight: Annotated[float, Field(ge=0)] = 4.0
    heads_rate: Annotated[float, Field(gt=0, le=1)] = 0.2
    heads_every: Annotated[int, Field(ge=1, le=100)] = 1

    @model_validator(mode="after")
    def _has_stages(self) -> Self:
        if not self.stages or list(self.stages) != sorted(set(self.stages)):
            raise ValueError("stages: give one or more of 1, 2, 3, 4, each once and in this order")
        if self.heads_every > 1 and not self.pixel_weight:
            raise ValueError(
                "heads_every: without a discriminator of pixels (pixel_weight) nothing judges in the other steps"
            )
        return self


class Network(Section):
    """The generator and the discriminator. latent_dim: dimensions of z. generator_width, discriminator_width: feature
    maps at the highest resolution (the modules in networks/ say which that is).

    family: vanilla: fully connected layers. dcgan: convolutions with batch normalization. wgan: the same generator with
    a critic without batch normalization. spectral: with a spectrally normalized discriminator. r3: residual networks
    without normalization. projected: dcgan's generator against heads on frozen features (projection), and against the
    discriminator of `spectral` beside them.
    """

    family: Family = "dcgan"
    latent_dim: Annotated[int, Field(ge=1, le=4096)] = 100
    generator_width: Annotated[int, Field(ge=1, le=1024)] = 32
    discriminator_width: Annotated[int, Field(ge=1, le=1024)] = 32
    projection: Projection | None = None
    generator: GeneratorOptions | None = None

    @model_validator(mode="after")
    def _options_fit_the_family(self) -> Self:
        if self.generator is not None and self.family not in DCGAN_GENERATORS:
            raise ValueError(
                f"generator: {self.family} has a generator of its own; these options are for "
                f"{', '.join(DCGAN_GENERATORS)}"
            )
        return self

    @model_validator(mode="after")
    def _projection_fits_the_family(self) -> Self:
        if (self.projection is not None) != (self.family == "projected"):
            raise ValueError(
                "projection: the family projected needs this section, and only that family takes it; "
                "`projection: {}` has the defaults"
            )
        return self
