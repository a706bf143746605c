"""The manifest of a synthetic set, as it is written and as it is read from a store or a folder of somebody else.

In: JSON. Out: SetManifest, whose fields have the types and bounds that the rest relies on.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from chestgan_core.errors import DamagedObject
from chestgan_core.imaging.windows import Unit, Window
from chestgan_core.publishing.reader.checked_fields import CheckedFields
from chestgan_core.publishing.reader.levels import BITS, Bits

KIND = "synthetic-set"
FORMAT = 3
"""Of what lies in the folder of a set. 3: what images were asked to show: conditions, position, boxes or null."""
CONDITIONS = ("class", "position", "tumour")
Layouts: TypeAlias = Literal["drawn", "given"]
REMEDY = "fetch the set again; if that does not help, ask whoever published it"
# What the store takes as one part of a key, so that a folder of this name is one folder everywhere.
_NAME, _SHA256 = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", r"[0-9a-f]{64}"
_MAX_OBJECTS = 1_000_000


@dataclass(frozen=True)
class SetFacts:
    """What the manifest says of the images of a set.

    images: how many; image k comes from seed first_seed + k. resolution: rows and columns, pixels. window_centre,
    window_width: in window_unit; level 0 is the lower end of this window, the highest level the upper. bits: 8 or 16 of
    a level. model_sha256: of the generator's weights. classes: what the images were to show, in turn: that of seed k is
    number k modulo their count. conditions: what the generator was told of an image, some of CONDITIONS. Without
    `tumour` nothing is known about tumours in the images: their boxes are null. tumour_fraction: of the images that
    were asked to show a tumour, the others were asked for none; None: as many as among the training slices.
    layouts: drawn from those of the training slices, or given by whoever made the set.
    """

    name: str
    experiment: str
    images: int
    first_seed: int
    resolution: int
    window_centre: float
    window_width: float
    model_sha256: str
    source_title: str
    source_licence: str
    window_unit: Unit = "HU"
    classes: tuple[str, ...] = ()
    bits: Bits = 8
    conditions: tuple[str, ...] = ()
    tumour_fraction: float | None = None
    layouts: Layouts = "drawn"

    @property
    def window(self) -> Window:
        """The window through which the generator saw its training data."""
        return Window(self.window_centre, self.window_width, self.window_unit)

    @property
    def seeds(self) -> range:
        """The seed of each image."""
        return range(self.first_seed, self.first_seed + self.images)

    @property
    def images_per_class(self) -> dict[str, int]:
        """How many images each class has, in the order of the classes."""
        count = len(self.classes)
        return {
            name: len(self.seeds[(at - self.first_seed) % count :: count])
            for at, name in enumerate(self.classes)
        }

    @property
    def has_boxes(self) -> bool:
        """Whether the generator was told where tumours are; else no image says anything about them."""
        return "tumour" in self.conditions

    @property
    def has_position(self) -> bool:
        """Whether the generator was told where in the lungs an image lies."""
        return "position" in self.conditions

    def class_of(self, k: int) -> str:
        """What image k was to show; empty where the set has no classes."""
        return self.classes[(self.first_seed + k) % len(self.classes)] if self.classes else ""

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class SetFile:
    """One file of a set, as the manifest lists it. key: relative to the prefix of the store."""

    key: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SetManifest:
    """A manifest. version: hex digits of what the set holds. Fields that a later version adds are passed over."""

    set: SetFacts
    version: str
    objects: tuple[SetFile, ...]


def manifest_from(value: Mapping[str, Any], where: str) -> SetManifest:
    """Plain data as a manifest. where: named by an error.

    Raises DamagedObject: a field is missing or out of bounds; or the set is of another format than this version reads.
    """
    found = CheckedFields(value, where, REMEDY, "the manifest of a synthetic set")
    found.choice("kind", (KIND,))
    number = found.whole("format", 1, 2**31) if "format" in found else 1
    if number > FORMAT:
        raise DamagedObject(
            where, f"is of format {number}, which a newer version of chestgan writes", "install that version"
        )
    if number < FORMAT:
        raise DamagedObject(where, f"is of format {number}, not {FORMAT}", "publish the set again")
    return SetManifest(
        set=_facts(found.inner("set")),
        version=found.text("version", _NAME),
        objects=tuple(
            SetFile(
                key=one.text("key", r"(?s).+", 1_024),
                bytes=one.whole("bytes", 0, 2**53),
                sha256=one.text("sha256", _SHA256),
            )
            for one in found.each("objects", _MAX_OBJECTS)
        ),
    )


def facts_from(value: object, where: str) -> SetFacts:
    """Plain data as the facts of a set. Raises DamagedObject."""
    return _facts(CheckedFields(value, where, REMEDY, "the manifest of a synthetic set", "set"))


def _facts(found: CheckedFields) -> SetFacts:
    facts = SetFacts(
        name=found.text("name", _NAME),
        experiment=found.text("experiment", _NAME),
        images=found.whole("images", 1, 2**32),
        first_seed=found.whole("first_seed", 0, 2**32 - 1),
        resolution=found.whole("resolution", 1, 8_192),
        window_centre=found.number("window_centre", -1e5, 1e5),
        window_width=found.number("window_width", 1e-6, 1e6),
        model_sha256=found.text("model_sha256", _SHA256),
        source_title=found.text("source_title"),
        source_licence=found.text("source_licence"),
        window_unit=found.choice("window_unit", get_args(Unit)),
        classes=found.texts("classes", r"(?s).+", 10_000, 128),
        bits=found.choice("bits", BITS),
        conditions=found.subset("conditions", CONDITIONS),
        tumour_fraction=found.number_or_null("tumour_fraction", 0, 1),
        layouts=found.choice("layouts", get_args(Layouts)),
    )
    if bool(facts.classes) != ("class" in facts.conditions):
        raise found.damaged("conditions", "says something else than the classes")
    if facts.tumour_fraction is not None and not facts.has_boxes:
        raise found.damaged("tumour_fraction", "is given, and tumours are none of the conditions")
    return facts
