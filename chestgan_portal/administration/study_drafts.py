"""A study that is not open yet: what its form says, which sets it may show, and what would be drawn.

In: fields of a form; the index of sets. Out: StudyDesign or a sentence per field; sets with the reason why one cannot
be used; how many images of which class and level the design would show.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from chestgan_core.errors import BadInput, NotInStore
from chestgan_core.local.json_text import parse_json
from chestgan_core.publishing.reader.manifest import facts_from
from chestgan_core.publishing.versions.index import read_index
from chestgan_core.publishing.versions.listing import show_set
from chestgan_core.reading.design import StudyDesign, images_for
from chestgan_core.reading.images.choosing import LEVELS, TooFewImages, choose
from chestgan_core.reading.images.real_images import REMEDY, ROWS, RealRow
from chestgan_core.store import keys
from chestgan_core.store.artefacts import parse_typed
from chestgan_core.store.store import Store
from chestgan_portal.pages.languages import _

FLAGS = ("ask_verdict", "ask_tumour", "zoom", "window")
NUMBERS = ("images_per_side", "max_per_patient", "warm_up", "seed")
RESERVED = ("new", "draft", "precision")  # pages beside those of studies
FEWEST_IMAGES = 4  # of each side that a design can have
_MOST_SETS = 200


@dataclass(frozen=True)
class Offered:
    """A version of a set. reason: why it cannot be used, "" where it can. withdrawn: for good."""

    name: str
    version: str
    images: int
    reason: str = ""
    withdrawn: bool = False

    @property
    def value(self) -> str:
        """As the form names it."""
        return f"{self.name}/{self.version}"


def offered_sets(store: Store) -> list[Offered]:
    """Every published version, the newest first. Raises StoreError."""
    found = []
    for entry in reversed(read_index(store)[-_MOST_SETS:]):
        reason = ""
        if entry.withdrawn:
            reason = _("It was withdrawn.")
        elif store.head(keys.real_images_latest(entry.name, entry.version)) is None:
            reason = _("It has no real images: materialize reader_study_images for %(name)s.") % {
                "name": entry.name
            }
        found.append(Offered(entry.name, entry.version, entry.images, reason, bool(entry.withdrawn)))
    return found


@dataclass
class Draft:
    """values: of the form, as text. errors: field -> sentence. design: where there are none."""

    values: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    design: StudyDesign | None = None


def draft_of(design: StudyDesign) -> Draft:
    """The form of a design."""
    fields = design.model_dump()
    values = {name: str(fields[name]) for name in ("name", "title", *NUMBERS)}
    values |= {name: "yes" if fields[name] else "" for name in FLAGS}
    values["set"] = f"{design.set_name}/{design.set_version}"
    values["repeats"] = f"{design.repeats * 100:g}"
    values["half_width"] = f"{design.half_width * 100:.1f}"
    return Draft(values, design=design)


def new_draft() -> Draft:
    """What a new form holds: the defaults of a design, and a precision that readers have the patience for."""
    precision = 0.098
    fields = StudyDesign.model_construct().model_dump()
    values = {name: str(fields.get(name, "")) for name in NUMBERS}
    values |= {name: "yes" if fields[name] else "" for name in FLAGS}
    values |= {"name": "", "title": "", "set": "", "repeats": f"{fields['repeats'] * 100:g}"}
    values |= {"half_width": f"{precision * 100:g}", "images_per_side": str(images_for(precision) // 2)}
    return Draft(values)


def read_draft(values: Mapping[str, str]) -> Draft:
    """Check a form."""
    draft = Draft({name: text.strip() for name, text in values.items()})
    set_name, _slash, set_version = draft.values.get("set", "").partition("/")
    if draft.values["name"] in RESERVED:
        draft.errors["name"] = _("This name is that of a page. Choose another one.")
    if not set_version:
        draft.errors["set"] = _("Choose a set.")
    fields: dict[str, Any] = {"name": draft.values["name"], "title": draft.values["title"]}
    fields |= {"set_name": set_name or "x", "set_version": set_version or "x"}
    fields |= {name: draft.values.get(name) == "yes" for name in FLAGS}
    for name in NUMBERS:
        fields[name] = _whole(draft.values.get(name, ""))
    repeats = _percent(draft.values.get("repeats", ""))
    fields["repeats"] = -1 if repeats is None else repeats
    try:
        design = StudyDesign.model_validate(fields)
    except ValidationError as error:
        for one in error.errors():
            name = str(one["loc"][0]) if one["loc"] else "name"
            draft.errors.setdefault(
                name.replace("set_name", "set").replace("set_version", "set"), _sentence(name)
            )
        return draft
    except BadInput:  # a name that cannot be part of a key
        draft.errors["name"] = _sentence("name")
        return draft
    if not draft.errors:
        draft.design = design
    return draft


def _sentence(name: str) -> str:
    return {
        "name": _("Letters, digits and . _ - only, beginning with a letter or digit, at most 128."),
        "title": _("Write 1 to 200 characters."),
        "images_per_side": _("A whole number from 4 to 2,000."),
        "max_per_patient": _("A whole number from 1 to 200."),
        "warm_up": _("A whole number from 0 to 50."),
        "repeats": _("From 0 to 50 percent."),
        "seed": _("A whole number from 0 to 4,294,967,295."),
    }.get(name, _("Choose another value."))


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1


def _percent(text: str) -> float | None:
    try:
        number = float(text[:16].replace(",", "."))
    except ValueError:
        return None
    return number / 100 if 0 <= number <= 100 else None


def images_per_side_for(half_width: str) -> int | None:
    """How many images of each side a precision in points needs, or None where it is none that a study can have."""
    share = _percent(half_width)
    if share is None or not 0 < share < 0.5:
        return None
    # Rounded up: no digit of a form is a reason for a study of more readers' hours.
    images = images_for(share) // 2
    return images if images <= 2_000 else None


@dataclass(frozen=True)
class Preview:
    """What a design would draw. real, synthetic: class -> images ("" without classes). levels: part of the lungs from
    base to apex -> real images; -1 where it is not known. patients: of the real images that are shown; most: of one.
    """

    real: dict[str, int]
    synthetic: dict[str, int]
    levels: dict[int, int]
    patients: int
    most: int


def too_few(error: TooFewImages) -> str:
    """The sentence for whoever drafts, in the words of the form."""
    numbers = {name: f"{value:,}" for name, value in vars(error).items() if isinstance(value, int)}
    lower = _("Set the images of each side to %(images_per_side)s or fewer.")
    if error.side == "synthetic":
        there = _("The set has %(there)s images; %(needed)s are needed, with the warm-up.")
    elif error.usable < error.there:
        there = _(
            "There are %(there)s real images of %(patients)s patients; with so few allowed of one patient, %(usable)s"
            " can be shown. %(needed)s are needed, with the warm-up."
        )
    else:
        there = _(
            "There are %(there)s real images of %(patients)s patients; %(needed)s are needed, with the warm-up."
        )
    if error.images_per_side < FEWEST_IMAGES:
        lower = ""
    other = _("Or allow %(max_per_patient)s real images of one patient.") if error.max_per_patient else ""
    return " ".join(part % numbers for part in (there, lower, other) if part)


def preview(store: Store, design: StudyDesign) -> Preview:
    """Draw as the study will, and count. Raises TooFewImages, NotInStore and other StoreErrors."""
    rows, classes = _real_rows(store, design), _classes(store, design)
    choice = choose(design, rows, classes)
    shown = [rows[index] for index in (*choice.real, *choice.real_warm_up)]
    patients = Counter(row.patient for row in shown)
    levels = Counter(-1 if row.level is None else min(int(row.level * LEVELS), LEVELS - 1) for row in shown)
    return Preview(
        real=dict(sorted(Counter(row.image_class for row in shown).items())),
        synthetic=dict(
            sorted(
                Counter(classes[index] for index in (*choice.synthetic, *choice.synthetic_warm_up)).items()
            )
        ),
        levels=dict(sorted(levels.items())),
        patients=len(patients),
        most=max(patients.values()),
    )


def _real_rows(store: Store, design: StudyDesign) -> list[RealRow]:
    """Of the real images that the study would choose from; without their pictures, which may be a gigabyte."""
    latest = keys.real_images_latest(design.set_name, design.set_version)
    try:
        (version,) = store.read_pointer(latest, "version")
    except NotInStore as error:
        cause, remedy = "has no real images", f"materialize reader_study_images for {design.set_name}"
        raise NotInStore(f"set {design.set_name}", cause, remedy) from error
    key = keys.real_images_manifest(design.set_name, design.set_version, version)
    artefact = store.read_manifest(key)
    where = f"{store.uri(key)}: {ROWS}"
    found = parse_json(store.read(artefact, ROWS), where, REMEDY)
    return list(parse_typed(_Rows, found, where, REMEDY, "the rows of real images").rows)


@dataclass(frozen=True)
class _Rows:
    rows: list[RealRow]


def _classes(store: Store, design: StudyDesign) -> list[str]:
    """The class of each image of the set, from its manifest alone: image k is of seed first_seed + k."""
    manifest = show_set(store, design.set_name, design.set_version)
    facts = facts_from(manifest["set"], manifest["uri"])
    return [facts.class_of(image) for image in range(facts.images)]
