"""Masks of tumours in their compact form: one bit per pixel of the box, as text.

In: a mask over the box, (height, width) bool. Out: its rows from the top one after the other, eight pixels to a byte,
the most significant bit first, the last byte filled with zeros (`numpy.packbits`), in Base64 (RFC 4648): 3 KB for a box
of 128 x 128.
"""

import base64
import binascii
from typing import TYPE_CHECKING

from chestgan_core.errors import DamagedObject
from chestgan_core.sources.annotations.boxes import TumourBox

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def packed(mask: "NDArray[np.bool_]") -> str:
    """A mask over a box, (height, width) bool -> its compact form."""
    import numpy as np

    return base64.b64encode(np.packbits(mask).tobytes()).decode()


def mask_of(box: TumourBox) -> "NDArray[np.bool_] | None":
    """(height, width) bool over the box; None where only a box was drawn.

    Raises DamagedObject: not Base64, or not as many bytes as the box needs.
    """
    import numpy as np

    if not box.mask:
        return None
    height, width = box.bottom - box.top, box.right - box.left
    try:
        data = base64.b64decode(box.mask, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != (height * width + 7) // 8:
        cause = f"has {len(data)} bytes for {height} x {width} pixels"
        raise DamagedObject(f"the mask on {box.sop_uid}", cause, "materialize tumour_annotations again")
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=height * width)
    return bits.reshape(height, width).astype(np.bool_)
