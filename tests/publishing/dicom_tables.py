"""dicom-validator with the tables of the standard that highdicom ships, as it would download those of dicom.nema.org.

They have modules, attributes at every depth and types, and no conditions: an attribute of type 1C or 2C that is missing
is not found here. dciodvfy, which the tests run too, knows the conditions.
"""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from dicom_validator.validator.dicom_file_validator import DicomFileValidator
from dicom_validator.validator.dicom_info import DicomInfo
from dicom_validator.validator.error_handler import NullValidationResultHandler
from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map
from pydicom.datadict import DicomDictionary, dictionary_description, tag_for_keyword
from pydicom.uid import ComprehensiveSRStorage, CTImageStorage

IODS = {CTImageStorage: "ct-image", ComprehensiveSRStorage: "comprehensive-sr"}


def findings(path: Path) -> list[str]:
    """What dicom-validator says against a file: module, attribute, code of the error."""
    validator = DicomFileValidator(tables(), error_handler=NullValidationResultHandler())
    (result,) = validator.validate(path).values()
    return [
        f"{module}: {dictionary_description(tag.tag)} {error.code.name}"
        for module, errors in (result.module_errors or {}).items()
        for tag, error in errors.items()
    ] + ([] if result.status.name in ("Passed", "Failed") else [result.status.name])


def output_of(tool: str, package: str, path: Path) -> tuple[int, list[str]]:
    """What a tool of Debian says of a file: exit status, lines of both outputs. In CI it must be there."""
    if shutil.which(tool) is None:
        missing = f"{tool} is missing: apt-get install {package}"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    run = subprocess.run([tool, path], capture_output=True, text=True, check=False)
    return run.returncode, (run.stdout + run.stderr).splitlines()


@cache
def tables() -> DicomInfo:
    iods: dict[str, dict[str, Any]] = {}
    modules: dict[str, dict[str, Any]] = {}
    for uid, name in IODS.items():
        used = {one["key"]: {"ref": one["key"], "use": one["usage"]} for one in get_iod_module_map()[name]}
        iods[uid] = {"title": name, "modules": used, "group_macros": {}}
        modules |= {key: _attributes(key) for key in used}
    return DicomInfo(_dictionary(), iods, modules)


def _attributes(module: str) -> dict[str, Any]:
    """Those of a module, nested as in the standard; without repeating groups (overlays), which have no tag."""
    found: dict[str, Any] = {}
    for one in get_module_attribute_map()[module]:
        tags = [tag_for_keyword(keyword) for keyword in (*one["path"], one["keyword"])]
        if None in tags:
            continue
        *path, last = map(_written, tags)
        place = found
        for tag in path:
            place = place[tag].setdefault("items", {})
        place[last] = {"name": one["keyword"], "type": one["type"]}
    return found


def _dictionary() -> dict[str, dict[str, str]]:
    return {
        _written(tag): {"name": name, "vr": vr, "vm": vm}
        for tag, (vr, vm, name, *_) in DicomDictionary.items()
    }


def _written(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
