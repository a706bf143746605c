"""Many pictures in one object: a safetensors file with one tensor.

In: (N, H, W) uint8, or bytes from a store. Out: the other. Nothing that is read can run as code.
"""

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from chestgan_core.errors import DamagedObject

PICTURES = "pictures.safetensors"


def pack_pictures(pictures: NDArray[np.uint8]) -> bytes:
    """The object; equal pictures give equal bytes."""
    return save({"pictures": np.ascontiguousarray(pictures)})


def unpack_pictures(data: bytes, shape: tuple[int, int, int], where: str, remedy: str) -> NDArray[np.uint8]:
    """The pictures, (N, H, W) uint8, of the shape that a manifest says. Raises DamagedObject."""
    try:
        pictures = load(data)["pictures"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise DamagedObject(where, "holds no pictures", remedy) from error
    if pictures.dtype != np.uint8 or pictures.shape != shape:
        cause = f"holds pictures {pictures.dtype} {pictures.shape}, not uint8 {shape}"
        raise DamagedObject(where, cause, remedy)
    return pictures
