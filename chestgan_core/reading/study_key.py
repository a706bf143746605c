"""The key of a study: which images are real. Joined to the answers when a study is analysed, never before.

In: what was drawn when the study was frozen. Out: StudyKey. No identifier of a patient is in it: real images of one
patient share a number that means nothing outside of the study.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chestgan_core.reading.answers import Share
from chestgan_core.reading.design import Name, Truth


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Box(_Row):
    """A tumour: shares of the width and height of the image, origin top left."""

    left: Share
    top: Share
    right: Share
    bottom: Share


class KeyRow(_Row):
    """One image. image_class: histology letter or folder, empty without classes. patient: from 1, of a real image.

    level: of a real slice between base (0) and apex (1) of the lungs; None where it is not known. warm_up: is shown
    before the others and does not count.
    """

    item: Annotated[int, Field(ge=0, lt=100_000)]
    truth: Truth
    image_class: Annotated[str, Field(max_length=128)] = ""
    patient: Annotated[int, Field(ge=1)] | None = None
    level: Share | None = None
    boxes: tuple[Box, ...] = ()
    warm_up: bool = False


class StudyKey(_Row):
    """Rows by item. study, version: the frozen study."""

    study: Name
    version: Name
    rows: Annotated[tuple[KeyRow, ...], Field(max_length=100_000)]
