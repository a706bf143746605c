"""The messages that the portal takes from the pipeline: their kinds, fields and bounds.

In: the plain data of a verified message. Out: a message with the fields that are known; others are dropped, as a later
platform may send more. An unknown kind is refused. Characters that act on a terminal are written out here.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from chestgan_core.errors import BadInput
from chestgan_core.escaping import escaped

_YEAR_2100 = 4102444800  # seconds since 1970
MAX_STEPS = 200

Delivery = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
Run = Annotated[str, Field(max_length=64, pattern=r"^[0-9A-Za-z-]*$")]
Name = Annotated[str, Field(max_length=400), AfterValidator(escaped)]


class _Message(BaseModel):
    """id: of the delivery. at: when it happened, seconds since 1970. run: of Dagster."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)

    id: Delivery
    at: Annotated[float, Field(ge=0, le=_YEAR_2100)]
    run: Run

    @property
    def moment(self) -> datetime:
        """`at` as a time, UTC."""
        return datetime.fromtimestamp(self.at, UTC)

    @property
    def content(self) -> dict[str, Any]:
        """What is kept beside the columns of a notification."""
        return self.model_dump(exclude={"id", "kind", "at"})


class RunFailed(_Message):
    """partition: the dataset or the experiment, "" where the job has none; never a patient."""

    kind: Literal["run-failed"]
    job: Name
    partition: Name
    steps: Annotated[list[Name], Field(max_length=MAX_STEPS)]


class SetPublished(_Message):
    """images: how many, where the materialization says it."""

    kind: Literal["set-published"]
    set: Name
    images: Annotated[int, Field(ge=0)] | None = None


Message = RunFailed | SetPublished
_MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])
SCHEMA = {"oneOf": [RunFailed.model_json_schema(), SetPublished.model_json_schema()]}


def parse_message(plain: dict[str, Any]) -> Message:
    """Raises BadInput: an unknown kind, or the first field that is missing or out of bounds; not what it holds."""
    try:
        return _MESSAGES.validate_python(plain)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
            kinds = "run-failed and set-published"
            raise BadInput("message", "it is of an unknown kind", f"this portal knows {kinds}") from error
        field = ".".join(str(part) for part in first["loc"][1:2])
        raise BadInput(
            "message", f"its field {field} is missing or out of bounds", "send it as the platform does"
        ) from error
