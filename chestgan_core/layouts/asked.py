"""What a person asks for on the command line or in a form, as a layout.

In: tumours as `x,y,w,h` (centre, width and height, in pixels, or in mm where `mm` follows) or `none`, a position and a
class. Out: a checked `Layout`.
"""

import re
from collections.abc import Sequence

from chestgan_core.errors import BadInput
from chestgan_core.layouts.askable import Askable, LengthUnit
from chestgan_core.layouts.layout import Edges, Layout

NONE = "none"
TUMOUR, POSITION, CLASS = "--tumour", "--position", "--class"
_MAX_TEXT = 200  # characters of a tumour
_NUMBER = r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*"
_TUMOUR = re.compile(f"({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})(mm|px)?", re.ASCII)
_REMEDY = "give x,y,w,h: centre, width and height in pixels, followed by mm if in mm; or none"


def asked_layout(
    askable: Askable, tumours: Sequence[str] | None, position: float | None, class_name: str | None
) -> Layout:
    """The layout that is asked for.

    Args:
        askable: What the generator can be asked.
        tumours: None: nothing is said. ["none"]: no tumour. Else each as `x,y,w,h`, `x,y,w,hmm` or `x,y,w,hpx`: the
            centre from the top left of the image, then width and height.
        position: From 0 (base of the lungs) to 1 (apex), or None.
        class_name: Of the generator's classes; None or "": that of the seed.

    Raises:
        BadInput: A text that is no tumour, or something that the generator cannot show; names the option.

    Examples:
        >>> from chestgan_core.config.conditions import Conditions, TumourCondition
        >>> askable = Askable(64, (), Conditions(tumour=TumourCondition()), None)
        >>> asked_layout(askable, ["20,30,8,6"], None, None).boxes
        ((16.0, 27.0, 24.0, 33.0),)
        >>> asked_layout(askable, ["none"], None, None).boxes
        ()
    """
    if class_name:
        askable.require(Layout(class_name=class_name), CLASS)
    if position is not None:
        askable.require(Layout(position=position), POSITION)
    boxes = None if not tumours else _boxes(askable, tumours, position)
    layout = Layout(boxes, position, class_name or "")
    askable.require(layout, TUMOUR)
    return layout


def _boxes(askable: Askable, tumours: Sequence[str], position: float | None) -> tuple[Edges, ...]:
    if any(text.strip().lower() == NONE for text in tumours):
        if len(tumours) > 1:
            raise BadInput(TUMOUR, "asks for none and for others", "give none alone, or only tumours")
        return ()
    boxes = []
    for text in tumours:
        box = _box(askable, text)
        askable.require(Layout((box,), position), f"{TUMOUR} {text.strip()}")
        boxes.append(box)
    return tuple(boxes)


def _box(askable: Askable, text: str) -> Edges:
    found = _TUMOUR.fullmatch(text.strip()) if len(text) <= _MAX_TEXT else None
    if found is None:
        raise BadInput(f"{TUMOUR} {text[:_MAX_TEXT]!r}", "is no tumour", _REMEDY)
    unit: LengthUnit = "mm" if found[5] == "mm" else "px"
    what = f"{TUMOUR} {text.strip()}"
    x, y, width, height = (askable.pixels(float(found[part]), unit, what) for part in range(1, 5))
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
