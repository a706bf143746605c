"""What readers answered: rows that the portal, the offline file and the analysis share.

In: rows from a database or from a file of somebody else. Out: StudyAnswers, within bounds. There is no name, account or
address of a person in it: a reader is a random name that exists in one study only.
"""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from chestgan_core.reading.design import Name, Part, Truth

Share: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
OneToFive: TypeAlias = Annotated[int, Field(ge=1, le=5)]
# A clock may be wrong; a time near the ends of the calendar breaks every sum with it.
AnsweredAt: TypeAlias = Annotated[
    AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC))
]


def _one_line(text: str) -> str:
    """Raises ValueError: characters that are no text, which no database and no terminal takes."""
    line = " ".join(text.split())
    if any(unicodedata.category(one) == "Cc" for one in line):
        raise ValueError("it holds control characters")
    return line


Said: TypeAlias = Annotated[str, Field(max_length=128), AfterValidator(_one_line)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reader(_Row):
    """reader: random name. profession, specialty, years of experience: as the reader chose to say, or empty.

    presentations: how many images were in this reader's order. finished: all of them were answered.
    """

    reader: Name
    profession: Said = ""
    specialty: Said = ""
    years: Annotated[int, Field(ge=0, le=80)] | None = None
    presentations: Annotated[int, Field(ge=1, le=10_000)]
    finished: bool


class Answer(_Row):
    """One answer. item: number of the image in the study. position: from 0, in this reader's order.

    rating: of realism, 1 to 10. verdict, confidence: where they were asked for. tumour_seen False: none was seen;
    tumour_x, tumour_y: 0 to 1 of width and height, origin top left. seconds: with the page in sight.
    """

    reader: Name
    item: Annotated[int, Field(ge=0, lt=100_000)]
    part: Part
    position: Annotated[int, Field(ge=0, lt=10_000)]
    rating: Annotated[int, Field(ge=1, le=10)] | None = None
    verdict: Truth | None = None
    confidence: OneToFive | None = None
    tumour_seen: bool | None = None
    tumour_x: Share | None = None
    tumour_y: Share | None = None
    conspicuity: OneToFive | None = None
    seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
    answered_at: AnsweredAt


class StudyAnswers(_Row):
    """All answers of a study. study, version: the frozen study that they belong to."""

    study: Name
    version: Name
    readers: Annotated[tuple[Reader, ...], Field(max_length=10_000)]
    answers: Annotated[tuple[Answer, ...], Field(max_length=5_000_000)]
