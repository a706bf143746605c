"""Models that are read from one YAML file each and have its name: experiments, datasets, search spaces.

In: a shipped folder, and an environment variable that names the user's own. Out: name -> file, its fields, and a
validated model. An error is one line with the file, the line, the field, and for a wrong name the nearest known ones.
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from chestgan_core.config.yaml_text import MAX_CHARACTERS, BadYaml, Place, read_yaml
from chestgan_core.errors import BadInput, nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Section(BaseModel):
    """A part of such a file: frozen, without unknown fields, NaN or infinity."""

    # A misspelled field must not silently fall back to its default.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Described = TypeVar("Described", bound=Section)


@dataclass(frozen=True)
class Fields:
    """The fields of a file or a manifest. where: named by errors. lines: path of a field -> its line, from 1."""

    values: Mapping[str, Any]
    where: object
    lines: Mapping[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int | None:
        """The line of a field, or of the section that lacks it. Names that are not fields, which pydantic adds for
        alternatives, are skipped.
        """
        known: Place = ()
        for part in place:
            known = (*known, part) if (*known, part) in self.lines else known
        return self.lines.get(known)


def read_fields(path: Path, kind: str, error: type[BadInput]) -> Fields:
    """The fields of a file. kind: `datasets`, for the remedy.

    Raises error: not a file that can be read, not YAML (line), no fields, a field twice (line), a word that YAML 1.1
    and 1.2 read differently (line).
    """
    try:
        document = read_yaml(_text(path, error))
    except BadYaml as fault:
        raise error(path, str(fault), fault.remedy) from fault
    if not isinstance(document.values, dict) or not document.values:
        raise error(path, "holds no fields", f"start from one of the shipped {kind}")
    return Fields(document.values, path, document.lines)


def _text(path: Path, error: type[BadInput]) -> str:
    if not path.is_file():  # a pipe would wait for ever
        raise error(path, "is not a file", "name a YAML file")
    try:
        with path.open("rb") as file:
            # More than the limit in characters of up to four bytes: what is longer is refused by read_yaml.
            return file.read(4 * MAX_CHARACTERS + 4).decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise error(path, "is not UTF-8", "save it as UTF-8") from fault
    except OSError as fault:
        raise error(path, f"cannot be read ({fault.strerror})", "check its permissions") from fault


def validated(
    model: type[Described], fields: Fields, what: str, error: type[BadInput], **more: object
) -> Described:
    """The fields as a model. what: `dataset`, for faults of no single field. more: fields that no file holds."""
    try:
        return model.model_validate({**fields.values, **more})
    except ValidationError as fault:
        faults = "; ".join(
            f"{_line(fields.line(one['loc']))}{'.'.join(map(str, one['loc'])) or what}: {_cause(model, one)}"
            for one in fault.errors()
        )
        raise error(fields.where, faults, "correct these fields") from fault


def sections_in(annotation: Any) -> Iterator[type[Section]]:
    """The sections in an annotation: `A | B | None` has A and B, `tuple[A, ...]` has A."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from sections_in(inner)


def _cause(model: type[Section], fault: "ErrorDetails") -> str:
    """What is wrong with a field; for an unknown name also the nearest known ones."""
    context = fault.get("ctx", {})
    match fault["type"]:
        case "extra_forbidden":
            *place, name = fault["loc"]
            return f"is not a field here, {nearest(str(name), _fields_at(model, place))}"
        case "literal_error":
            value, known = fault["input"], context["expected"]
        case "union_tag_invalid":
            value, known = context["tag"], context["expected_tags"]
        case _:
            return fault["msg"].removeprefix("Value error, ")
    names = re.findall("'([^']*)'", known)
    return f"{value!r} is not a valid value, {nearest(str(value), names)}"


def _fields_at(model: type[Section], place: Sequence[Hashable]) -> set[str]:
    """The fields of the section at a place. Where a section has alternatives, pydantic adds which one was meant: its
    `kind`, or the name of its class.
    """
    sections = [model]
    for step in place:
        inner = [one.model_fields[step].annotation for one in sections if step in one.model_fields]
        meant = [one for one in sections if step in (one.__name__, *_kinds(one))]
        sections = [found for one in inner for found in sections_in(one)] or meant or sections
    return {name for section in sections for name in section.model_fields}


def _kinds(section: type[Section]) -> tuple[Any, ...]:
    kind = section.model_fields.get("kind")
    return get_args(kind.annotation) if kind else ()


def _line(number: int | None) -> str:
    return f"line {number}: " if number is not None else ""
