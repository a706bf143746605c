"""What people set as environment variables: numbers, choices, folders and files.

In: the name of a variable. Out: its value, checked; what cannot be used is a BadInput that names the variable and says
what it may be. An empty variable counts as unset.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from chestgan_core.errors import BadInput, nearest


@overload
def number_from_environment(
    name: str, minimum: float, maximum: float = math.inf, default: None = None
) -> float | None: ...


@overload
def number_from_environment(name: str, minimum: float, maximum: float, default: float) -> float: ...


def number_from_environment(
    name: str, minimum: float, maximum: float = math.inf, default: float | None = None
) -> float | None:
    """A number, both bounds included and never infinite; default where the variable is unset. Raises BadInput."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and minimum <= number <= maximum):
        bounds = f"of at least {minimum:g}" if maximum == math.inf else f"from {minimum:g} to {maximum:g}"
        raise BadInput(name, f"{text!r} is not a number {bounds}", "correct it, or unset it")
    return number


@overload
def whole_number_from_environment(
    name: str, minimum: int, maximum: int, default: None = None
) -> int | None: ...


@overload
def whole_number_from_environment(name: str, minimum: int, maximum: int, default: int) -> int: ...


def whole_number_from_environment(
    name: str, minimum: int, maximum: int, default: int | None = None
) -> int | None:
    """Digits only, both bounds included; default where the variable is unset. Raises BadInput."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and minimum <= int(text[:20]) <= maximum):
        cause = f"{text!r} is not a whole number from {minimum} to {maximum}"
        raise BadInput(name, cause, "correct it, or unset it")
    return int(text)


def choice_from_environment(name: str, choices: Sequence[str], default: str = "") -> str:
    """One of the choices; default where the variable is unset. Raises BadInput: the nearest choices."""
    value = os.environ.get(name, "").strip()
    if value and value not in choices:
        raise BadInput(name, f"{value!r} is not a valid value", nearest(value, choices))
    return value or default


def path_from_environment(variable: str, what: str) -> Path:
    """The file or folder that an environment variable names.

    what: for the remedy, "the folder that holds the DICOM files". Raises BadInput: unset, or nothing is there.
    """
    value = os.environ.get(variable)
    if not value:
        raise BadInput(variable, "is not set", f"set it to {what}")
    path = Path(value).expanduser().resolve()
    if not path.exists():
        raise BadInput(path, "there is no such file or folder", f"set {variable} to {what}")
    return path
