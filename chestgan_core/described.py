"""Things that one YAML file describes, named by it: experiments and datasets.

In: a folder that is shipped and an environment variable that names one of the user's own. Out: name -> file, its
fields, and a validated model; what is wrong is one line with the file and the field.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from chestgan_core.errors import BadInput


class Section(BaseModel):
    """A part of such a file."""

    # A misspelled field must not silently fall back to its default.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Described = TypeVar("Described", bound=Section)


def files_in(shipped: Path, variable: str, error: type[BadInput]) -> dict[str, Path]:
    """Name -> YAML file; a file in the folder that `variable` names hides a shipped one of the same name.

    Raises error when that is no folder.
    """
    folders = [shipped]
    if own := os.environ.get(variable):
        if not Path(own).is_dir():
            raise error(variable, f"{own} is no folder", "name the folder of your YAML files")
        folders.append(Path(own))
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def read_fields(path: Path, kind: str, error: type[BadInput]) -> dict[str, Any]:
    """The fields of a file. kind: `datasets`, for the remedy. Raises error: broken YAML (line), no fields."""
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise error(path, f"is not YAML ({' '.join(str(fault).split())})", "mend that line") from fault
    if not isinstance(told, dict):
        raise error(path, "holds no fields", f"start from one of the shipped {kind}")
    return told


def validated(
    model: type[Described], fields: Mapping[str, object], where: object, what: str, error: type[BadInput]
) -> Described:
    """The fields as a model. where: what an error names; what: `dataset`, for faults of no single field."""
    try:
        return model.model_validate(fields)
    except ValidationError as fault:
        faults = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or what}: {one['msg']}" for one in fault.errors()
        )
        raise error(where, faults, "mend these fields") from fault
