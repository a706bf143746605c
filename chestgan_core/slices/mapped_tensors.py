"""A tensor of a safetensors file that stays in the file and is read through a mapping.

In: the file. Out: an array whose pages come from the disk when they are looked at, and are given up when memory is
needed for something else. `safe_open` reads single slices too, but copies each of them twice.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

_DTYPES: "dict[str, np.dtype[Any]]" = {"I16": np.dtype("<i2"), "F32": np.dtype("<f4")}


def map_tensor(path: Path, name: str) -> np.ndarray:
    """One tensor, as an array that cannot be written.

    Raises:
        SafetensorError: Not such a file, cut short, without this tensor, or of another type than int16 and float32.
        OSError: It cannot be opened.
    """
    with safe_open(path, framework="np") as checked:  # of all offsets, against the size of the file
        checked.get_slice(name)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
    if entry["dtype"] not in _DTYPES:
        raise SafetensorError(f"{name} is of type {entry['dtype']}")
    dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
    if 0 in shape:  # nothing can be mapped
        return np.empty(shape, dtype)
    mapped: np.ndarray = np.memmap(path, dtype, "r", 8 + length + entry["data_offsets"][0], shape)
    return mapped
