"""JSON that somebody else may have written.

In: bytes. Out: one JSON object as plain data, strict: what Python's parser lets pass and no other program reads is
refused.
"""

import json
from typing import Any

from chestgan_core.errors import DamagedObject


def parse_json(data: bytes, where: str, remedy: str) -> dict[str, Any]:
    """A JSON object. where, remedy: of an error.

    Raises DamagedObject: not JSON, no object, NaN or infinity (Python reads them), a name twice, nested so deep that it
    is no manifest, half of a surrogate pair (no text, and no terminal or file takes it).
    """
    try:
        value = json.loads(data, parse_constant=_refuse_constant, object_pairs_hook=_distinct)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        raise DamagedObject(where, "is not a JSON object", remedy) from error
    except ValueError as error:
        raise DamagedObject(where, f"is not a JSON object ({error})", remedy) from error
    except RecursionError as error:
        raise DamagedObject(where, "is not a JSON object (it is nested too deeply)", remedy) from error
    if not isinstance(value, dict):
        raise DamagedObject(where, "is not a JSON object", remedy)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name occurs twice")
    return fields
