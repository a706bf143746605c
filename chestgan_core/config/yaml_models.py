"""Things that one YAML file describes, named by it: experiments and datasets.

In: a folder that is shipped and an environment variable that names one of the user's own. Out: name -> file, its
fields, and a validated model; what is wrong is one line with the file, the line and the field.
"""

import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from chestgan_core.errors import BadInput

Place: TypeAlias = tuple[Hashable, ...]


class Section(BaseModel):
    """A part of such a file."""

    # A misspelled field must not silently fall back to its default.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Described = TypeVar("Described", bound=Section)


@dataclass(frozen=True)
class Fields:
    """What a file or a manifest says. where: what an error names. lines: place of a field -> its line, from 1."""

    values: Mapping[str, Any]
    where: object
    lines: Mapping[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int | None:
        """The line of a field, or of the section that lacks it. Names that are no field, as pydantic adds them for
        alternatives, are passed over.
        """
        known: Place = ()
        for part in place:
            known = (*known, part) if (*known, part) in self.lines else known
        return self.lines.get(known)


def files_in(shipped: Path, variable: str, error: type[BadInput]) -> dict[str, Path]:
    """Name -> YAML file; a file in the folder that `variable` names hides a shipped one of the same name.

    Raises error when that is no folder.
    """
    folders = [shipped]
    if own := os.environ.get(variable):
        if not Path(own).is_dir():
            raise error(variable, f"{own} is no folder", "name the folder of your YAML files")
        folders.append(Path(own))
    return {
        path.stem: path
        for folder in folders
        for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)
    }


def read_fields(path: Path, kind: str, error: type[BadInput]) -> Fields:
    """The fields of a file. kind: `datasets`, for the remedy.

    Raises error: broken YAML (line), no fields, a field that is there twice (line).
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        places = list(_places(node, ()))
        values = {} if node is None else yaml.SafeLoader("").construct_document(node)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as fault:
        raise error(path, f"is not YAML ({' '.join(str(fault).split())})", "mend that line") from fault
    if not isinstance(values, dict) or not values:
        raise error(path, "holds no fields", f"start from one of the shipped {kind}")
    lines: dict[Place, int] = {}
    for place, line in places:
        if place in lines:
            told = (
                f"line {line}: {'.'.join(map(str, place))} is there a second time, after line {lines[place]}"
            )
            raise error(path, told, "leave one of them out")
        lines[place] = line
    return Fields(values, path, lines)


def validated(
    model: type[Described], told: Fields, what: str, error: type[BadInput], **more: object
) -> Described:
    """The fields as a model. what: `dataset`, for faults of no single field. more: fields that no file tells."""
    try:
        return model.model_validate({**told.values, **more})
    except ValidationError as fault:
        faults = "; ".join(
            f"{_line(told.line(one['loc']))}{'.'.join(map(str, one['loc'])) or what}: {one['msg']}"
            for one in fault.errors()
        )
        raise error(told.where, faults, "mend these fields") from fault


def _line(number: int | None) -> str:
    return f"line {number}: " if number is not None else ""


def _places(node: yaml.Node | None, at: Place) -> Iterator[tuple[Place, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, key.value)
            yield place, key.start_mark.line + 1
            yield from _places(value, place)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            place = (*at, number)
            yield place, item.start_mark.line + 1
            yield from _places(item, place)
