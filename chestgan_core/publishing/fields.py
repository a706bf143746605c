"""The bounds of what indexes and status files of sets hold, as types that pydantic checks."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from chestgan_core.store import keys

Name: TypeAlias = Annotated[str, AfterValidator(keys.checked_name)]
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text: TypeAlias = Annotated[str, Field(max_length=2_000)]
Positive: TypeAlias = Annotated[int, Field(ge=1, le=2**53)]
NotNegative: TypeAlias = Annotated[int, Field(ge=0, le=2**53)]
