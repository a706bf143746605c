"""The design of a reader study: what is asked about which images, and how many are needed.

In: what an administrator fills in. Out: StudyDesign, checked, and the number of images that a precision needs. A study
measures realism, not diversity: a set of one perfect image would pass it.
"""

import math
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from chestgan_core.store import keys

Name: TypeAlias = Annotated[str, AfterValidator(keys.checked_name)]
Truth: TypeAlias = Literal["real", "synthetic"]
Part: TypeAlias = Literal["warm-up", "main", "repeat"]
Z_95 = 1.959964  # of a 95 % interval


class StudyDesign(BaseModel):
    """One study. Realism is rated from 1 to 10, always; everything else is asked by choice.

    set_name, set_version: the synthetic images. images_per_side: N real and N synthetic ones, each shown once.
    max_per_patient: real images of one patient. repeats: share of the 2 N images that each reader sees a second time.
    warm_up: images before, which do not count. ask_verdict: real or synthetic, with confidence 1 to 5. ask_tumour:
    where the tumour is (a click) and how conspicuous, 1 to 5. zoom, window: whether the reader may change them.
    seed: of the choice of images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: Annotated[str, Field(min_length=1, max_length=200)]
    set_name: Name
    set_version: Name
    images_per_side: Annotated[int, Field(ge=4, le=2_000)]
    max_per_patient: Annotated[int, Field(ge=1, le=200)] = 10
    repeats: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    warm_up: Annotated[int, Field(ge=0, le=50)] = 6
    ask_verdict: bool = True
    ask_tumour: bool = False
    zoom: bool = True
    window: bool = True
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @property
    def half_width(self) -> float:
        """Of the 95 % interval of the accuracy of one reader near 0.5, 0 to 1."""
        return half_width_of(2 * self.images_per_side)


def images_for(half_width: float) -> int:
    """How many images a reader must judge, both sides together, so that the 95 % interval of an accuracy near 0.5 is at
    most +- half_width (normal approximation: 0.98 / sqrt(n)). Raises ValueError: not between 0 and 0.5.
    """
    if not 0 < half_width < 0.5:
        raise ValueError(f"{half_width} is not between 0 and 0.5")
    images = math.ceil((Z_95 / (2 * half_width)) ** 2 - 1e-9)
    return images + images % 2


def half_width_of(images: int) -> float:
    """The other way round."""
    return Z_95 / (2 * math.sqrt(images))
