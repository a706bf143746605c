"""The manifest of the slices of one patient, or of one class of images, as it is written and as it is read."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class SlicesManifest:
    """What is known of a shard besides its files.

    patient: the class, for images. raw: version of the archive or collection that it was made from. recipe: how.
    selection: `Catalog.fingerprint` of the patient's series, empty for images. slices: in the shard. left_out: reason
    -> number of files or slices.
    """

    dataset: str
    patient: str
    histology: str
    recipe: str
    raw: str
    slices: Annotated[int, Field(ge=1)]
    left_out: dict[str, Count]
    selection: str = ""
    kind: Literal["slices"] = "slices"


REMEDY = "materialize slice_tensors again"
WHAT = "the manifest of slices"
