"""The manifest of a synthetic set, as it is written and as it is read from a store or a folder of somebody else.

In: JSON. Out: SetManifest, whose fields have the types and bounds that the rest relies on.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from chestgan_core.imaging.windows import Unit, Window
from chestgan_core.store import keys

Name: TypeAlias = Annotated[str, AfterValidator(keys.checked_name)]
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text: TypeAlias = Annotated[str, Field(max_length=2_000)]
ClassName: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
Positive: TypeAlias = Annotated[int, Field(ge=1, le=2**53)]
NotNegative: TypeAlias = Annotated[int, Field(ge=0, le=2**53)]


@dataclass(frozen=True)
class SetFacts:
    """What the manifest says of the images of a set.

    images: how many; image k comes from seed first_seed + k. resolution: rows and columns, pixels. window_centre,
    window_width: in window_unit; grey 0 is the lower end of this window, grey 255 the upper. model_sha256: of the
    generator's weights. classes: what the images were to show, in turn: that of seed k is number k modulo their count.
    """

    name: Name
    experiment: Name
    images: Annotated[int, Field(ge=1, le=2**32)]
    first_seed: Annotated[int, Field(ge=0, lt=2**32)]
    resolution: Annotated[int, Field(ge=1, le=8_192)]
    window_centre: Annotated[float, Field(ge=-1e5, le=1e5, allow_inf_nan=False)]
    window_width: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
    model_sha256: Sha256
    source_title: Text
    source_licence: Text
    window_unit: Unit = "HU"
    classes: Annotated[tuple[ClassName, ...], Field(max_length=10_000)] = ()

    @property
    def window(self) -> Window:
        """The window through which the generator saw its training data."""
        return Window(self.window_centre, self.window_width, self.window_unit)

    @property
    def images_per_class(self) -> dict[str, int]:
        """How many images each class has, in the order of the classes."""
        count = len(self.classes)
        seeds = range(self.first_seed, self.first_seed + self.images)
        return {name: len(seeds[(at - seeds[0]) % count :: count]) for at, name in enumerate(self.classes)}

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class SetFile:
    """One file of a set, as the manifest lists it. key: relative to the prefix of the store."""

    key: Annotated[str, Field(min_length=1, max_length=1_024)]
    bytes: NotNegative
    sha256: Sha256


@dataclass(frozen=True)
class SetManifest:
    """A manifest. version: hex digits of what the set holds. Fields that a later version adds are passed over."""

    kind: Literal["synthetic-set"]
    set: SetFacts
    version: Name
    objects: Annotated[tuple[SetFile, ...], Field(max_length=1_000_000)]
