"""form.json: what a converted folder holds, so that it can be traced to its set and converted back.

In: a set, and which of its images were chosen; or the file of somebody else. Out: the file, written last; or its fields
with types and bounds. A folder without it is not complete.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chestgan_core.errors import BadInput, DamagedObject
from chestgan_core.local.files import file_error, is_regular, open_regular, replacing
from chestgan_core.local.json_text import parse_json
from chestgan_core.publishing.forms.items import REMEDY
from chestgan_core.publishing.reader.checked_fields import CheckedFields
from chestgan_core.publishing.reader.manifest import SetFacts, facts_from

FORM_FILE = "form.json"
KIND, FORMAT = "synthetic-set-form", 1
_MAX_BYTES = 4 * 2**20
_MAX_SELECTIONS = 100
_WHAT = "the description of a converted set"


@dataclass(frozen=True)
class Selection:
    """Which images were taken: those of some classes (empty: of all), the first `count` of them (0: all)."""

    classes: tuple[str, ...] = ()
    count: int = 0

    def __bool__(self) -> bool:
        return bool(self.classes) or self.count > 0

    def __str__(self) -> str:
        parts = [f"classes {', '.join(self.classes)}"] if self.classes else []
        parts += [f"the first {self.count}"] if self.count else []
        return "; ".join(parts)


@dataclass(frozen=True)
class Content:
    """Which images of which set.

    set: what the manifest says of the set; its `images` is the number in the set. version: of the set, 16 hex digits.
    images: how many are here. selections: what was chosen, one entry per conversion that chose.
    """

    set: SetFacts
    version: str
    images: int
    selections: tuple[Selection, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "set": self.set.as_json()}


@dataclass(frozen=True)
class Described:
    """The fields of form.json. labels_sha256: over the labels of all images, in order; see items.LabelsDigest."""

    form: str
    content: Content
    labels_sha256: str


def write_description(folder: Path, described: Described, details: Mapping[str, Any]) -> None:
    """Write form.json; details: what is true of one form only. Its bytes depend on nothing but these."""
    fields = {"kind": KIND, "format": FORMAT, "form": described.form, **described.content.as_json()}
    fields |= {"labels_sha256": described.labels_sha256, **details}
    with replacing(folder / FORM_FILE) as part:
        part.write_text(json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def read_description(folder: Path) -> Described:
    """What form.json says.

    Raises:
        BadInput: There is none: no folder of a conversion, or one that was interrupted.
        DamagedObject: It is not such a description, or one that a newer version wrote.
    """
    path = folder / FORM_FILE
    if not is_regular(path):
        if not folder.exists():
            raise BadInput(
                folder, "is not here", "give the folder of chestgan sets fetch or chestgan sets convert"
            )
        cause = f"is neither a set nor a complete conversion of one: it has no {FORM_FILE}"
        raise BadInput(folder, cause, "give the folder of chestgan sets fetch or chestgan sets convert")
    try:
        with open_regular(path) as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise file_error(path, error) from error
    if len(data) > _MAX_BYTES:
        raise DamagedObject(path, f"is too large for {_WHAT}", REMEDY)
    return _parsed(parse_json(data, str(path), REMEDY), str(path))


def _parsed(value: dict[str, Any], where: str) -> Described:
    fields = CheckedFields(value, where, REMEDY, _WHAT)
    fields.choice("kind", (KIND,))
    if (number := fields.whole("format", 1, 2**31)) > FORMAT:
        raise DamagedObject(
            where, f"is of format {number}, which a newer version of chestgan writes", "install that version"
        )
    facts = facts_from(value.get("set"), where)
    content = Content(
        set=facts,
        version=fields.text("version", "[0-9a-f]{16}"),
        images=fields.whole("images", 1, facts.images),
        selections=tuple(map(_selection, fields.each("selections", _MAX_SELECTIONS))),
    )
    form = fields.text("form", "[a-z]{1,32}")
    return Described(form, content, fields.text("labels_sha256", r"[0-9a-f]{64}"))


def _selection(fields: CheckedFields) -> Selection:
    return Selection(fields.texts("classes", r"(?s).+", 10_000, 128), fields.whole("count", 0, 2**32))
