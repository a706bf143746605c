"""Fields of JSON with their types and bounds, without a library.

In: plain data of somebody else. Out: the values, typed; or DamagedObject, which names the field. The reader of sets is
installed alone too, beside NumPy and Pillow: the rest of the project leaves this to pydantic.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from chestgan_core.errors import DamagedObject


class CheckedFields:
    """An object of JSON. where, remedy: of errors. what: what it should be, "the manifest of a set". path: its place.

    Types are strict: the text "12" is no number, nor are 1.5 and true whole ones.
    """

    def __init__(self, value: object, where: str, remedy: str, what: str, path: str = "") -> None:
        self._where, self._remedy, self._what, self._path = where, remedy, what, path
        if not isinstance(value, dict):
            raise self.damaged("", "is no object")
        self._fields: dict[str, Any] = value

    def damaged(self, name: str, cause: str) -> DamagedObject:
        """The error about a field."""
        place = ".".join(filter(None, (self._path, name))) or "all of it"
        return DamagedObject(self._where, f"is not {self._what} ({place}: {cause})", self._remedy)

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def _get(self, name: str) -> Any:
        if name not in self._fields:
            raise self.damaged(name, "is missing")
        return self._fields[name]

    def text(self, name: str, pattern: str = r"(?s).*", max_length: int = 2_000) -> str:
        """A text that a pattern matches as a whole, of at most so many characters."""
        return self._text(name, self._get(name), pattern, max_length)

    def _text(self, name: str, value: object, pattern: str, max_length: int) -> str:
        if not isinstance(value, str) or len(value) > max_length or not re.fullmatch(pattern, value):
            raise self.damaged(name, f"is not a text of at most {max_length:,} characters that fits")
        return value

    def choice(self, name: str, choices: Sequence[Any]) -> Any:
        """One of these values."""
        value = self._get(name)
        if not any(value == one and type(value) is type(one) for one in choices):
            raise self.damaged(name, f"is not {' or '.join(map(str, choices))}")
        return value

    def whole(self, name: str, low: int, high: int) -> int:
        """A whole number from low to high."""
        value = self._get(name)
        if type(value) is not int or not low <= value <= high:
            raise self.damaged(name, f"is not a whole number from {low:,} to {high:,}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        """A finite number from low to high; a whole one stays whole."""
        return self._number(name, self._get(name), low, high)

    def number_or_null(self, name: str, low: float, high: float) -> float | None:
        """A finite number from low to high, or null."""
        return None if self.is_null(name) else self.number(name, low, high)

    def is_null(self, name: str) -> bool:
        """Whether it is null."""
        return self._get(name) is None

    def _number(self, name: str, value: object, low: float, high: float) -> float:
        if type(value) not in (int, float) or not low <= value <= high or not math.isfinite(value):  # type: ignore[operator, arg-type]  # is a number
            raise self.damaged(name, f"is not a number from {low:g} to {high:g}")
        return value  # type: ignore[return-value]

    def _list(self, name: str, max_length: int) -> list[Any]:
        value = self._get(name)
        if not isinstance(value, list) or len(value) > max_length:
            raise self.damaged(name, f"is not a list of at most {max_length:,}")
        return value

    def texts(self, name: str, pattern: str, max_length: int, each: int) -> tuple[str, ...]:
        """A list of texts, each of at most so many characters."""
        return tuple(
            self._text(f"{name}.{at}", one, pattern, each)
            for at, one in enumerate(self._list(name, max_length))
        )

    def subset(self, name: str, choices: Sequence[str]) -> tuple[str, ...]:
        """Some of these texts, each once, in this order."""
        value = self._list(name, len(choices))
        found = tuple(one for one in choices if one in value)
        if list(found) != value:
            raise self.damaged(name, f"is not a list of some of {', '.join(choices)}, in this order")
        return found

    def numbers(
        self, name: str, length: int, low: float, high: float, max_length: int = 1_000
    ) -> list[list[float]]:
        """A list of at most so many lists of `length` numbers each."""
        found = []
        for at, row in enumerate(self._list(name, max_length)):
            if not isinstance(row, list) or len(row) != length:
                raise self.damaged(f"{name}.{at}", f"is not a list of {length} numbers")
            found.append([float(self._number(f"{name}.{at}", one, low, high)) for one in row])
        return found

    def inner(self, name: str) -> "CheckedFields":
        """An object inside this one."""
        return self._of(self._get(name), name)

    def each(self, name: str, max_length: int) -> Iterator["CheckedFields"]:
        """A list of objects, one after the other."""
        for at, one in enumerate(self._list(name, max_length)):
            yield self._of(one, f"{name}.{at}")

    def _of(self, value: object, name: str) -> "CheckedFields":
        path = ".".join(filter(None, (self._path, name)))
        return CheckedFields(value, self._where, self._remedy, self._what, path)
