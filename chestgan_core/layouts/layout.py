"""What one synthetic image is asked to show: where its tumours are, and where in the lungs it lies.

Imports nothing heavy.
"""

from dataclasses import dataclass
from typing import TypeAlias

Edges: TypeAlias = tuple[float, float, float, float]
"""left, top, right, bottom of a half-open box in pixels of the image, origin top left; as in the labels of a set."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What one image is asked to show.

    boxes: of its tumours, in pixels of the image; (): no tumour; None: nothing is said about tumours. position: of the
    slice in the lungs, from 0 at their base to 1 at their apex; None: nothing is said. class_name: of the experiment's
    classes; "": that of the seed.
    """

    boxes: tuple[Edges, ...] | None = None
    position: float | None = None
    class_name: str = ""


NOTHING_ASKED = Layout()
