"""How a generator is scored: the section `evaluation` of an experiment's YAML file.

In: fields. Out: a frozen, validated section. Imports nothing heavy.
"""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from chestgan_core.config.yaml_models import Section

ExtractorName: TypeAlias = Literal["efficientnet-lite0", "efficientnet-lite2", "inception-v3", "radiomics"]


class Evaluation(Section):
    """How the generator is scored. extractor: computes the features of the headline and of the release gate. others:
    second opinions, whose numbers stand beside it. images: maximum number on each side; held-out patients may have
    fewer slices. attacks: whether membership attacks are run against the images and the discriminator.

    Of experiments that place tumours (conditions.tumour): detector_images: images that each detector sees while it is
    trained, repetitions counted; 0: no detector is trained, so that neither placement nor detection utility are known.
    few_patients: whether detectors are also trained on 1, 2 and 5 real patients, twelve more in all.
    """

    extractor: ExtractorName = "efficientnet-lite0"
    others: tuple[ExtractorName, ...] = ("efficientnet-lite2", "radiomics")
    images: Annotated[int, Field(ge=2)] = 500
    attacks: bool = True
    detector_images: Annotated[int, Field(ge=0, le=10_000_000)] = 9_600
    few_patients: bool = True

    @model_validator(mode="after")
    def _names_each_extractor_once(self) -> Self:
        if len({self.extractor, *self.others}) <= len(self.others):
            raise ValueError(
                f"others: name each extractor once, and not {self.extractor} again, which is the extractor"
            )
        return self

    @property
    def extractors(self) -> tuple[str, ...]:
        """The headline's first."""
        return (self.extractor, *self.others)
