"""What a generator is told beside noise and class. The section `conditions` of an experiment's YAML file.

In: fields. Out: a frozen, validated Conditions. Imports nothing heavy: the pipeline reads it for every experiment.
"""

from typing import Annotated

from pydantic import Field

from chestgan_core.config.yaml_models import Section

MAX_TUMOURS = 8
"""Boxes of one image that a condition holds; the largest ones of more."""


class TumourCondition(Section):
    """Where tumours are: a soft map of boxes, which both networks see at several resolutions.

    mismatched: fraction of a batch in which the discriminator is also shown a real slice with the boxes of another, as
    an image that does not fit (Reed et al. 2016, arXiv 1605.05396). balance: slices with and without a tumour are drawn
    equally often while training.
    """

    mismatched: Annotated[float, Field(ge=0, le=0.5)] = 0.5
    balance: bool = True


class Conditions(Section):
    """position: where in the lungs the slice lies, from base (0) to apex (1). tumour: where its tumours are.

    `classes` of the experiment are a condition as well.
    """

    position: bool = False
    tumour: TumourCondition | None = None

    def __bool__(self) -> bool:
        return self.position or self.tumour is not None
