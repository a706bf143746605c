"""What a file says about one image, gathered entry by entry, and made a checked layout at the end.

In: boxes, positions and classes, each with the place in the file that says so. Out: `NamedLayout`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from chestgan_core.config.conditions import MAX_TUMOURS
from chestgan_core.errors import BadInput
from chestgan_core.layouts.askable import Askable, require_box
from chestgan_core.layouts.layout import Edges, Layout

MAX_NAME = 64  # characters of the name of an image or a class
MAX_IMAGES = 1_000_000
MAX_SEED = 2**32 - 1
ANY, NONE = "any", "none"
_Said: TypeAlias = float | str


class NamedLayout(NamedTuple):
    """name: of the image in its file. seed: of its noise, where the file says so. drawn: its position is to be one that
    fits; else the layout is all that the generator is told.
    """

    name: str
    layout: Layout
    seed: int | None = None
    drawn: bool = False


@dataclass
class ImageEntry:
    """One image of a file. where: its first place in it. boxes: with their places. tumour: ANY, NONE or "" (as the
    boxes say). position: ANY: the generator is told none; None: one is drawn. class_name: "" of the seed. seed: None:
    the file says none. anywhere: tumours need not lie in the lungs.
    """

    name: str
    where: str
    boxes: list[tuple[str, Edges]] = field(default_factory=list)
    tumour: str = ""
    position: float | str | None = None
    class_name: str = ""
    seed: int | None = None
    anywhere: bool = False

    def add_box(self, box: Edges, where: str) -> None:
        """One more tumour. Raises BadInput: the image has too many, or was said to have none."""
        if len(self.boxes) == MAX_TUMOURS:
            cause = (
                f"is tumour {MAX_TUMOURS + 1} of the image {self.name}, at most {MAX_TUMOURS} are possible"
            )
            raise BadInput(where, cause, "leave out the smallest")
        self.boxes.append((where, box))

    def say_tumour(self, tumour: str, where: str) -> None:
        """ANY, NONE or "". Raises BadInput: another word."""
        if tumour not in ("", ANY, NONE):
            cause = f"says {tumour[:MAX_NAME]!r} about tumours"
            raise BadInput(where, cause, f"say {ANY} (nothing is asked) or {NONE}, or give a box")
        _require_same(self.name, "tumours", self.tumour or None, tumour or None, where)
        self.tumour = tumour or self.tumour

    def say_position(self, position: float | str | None, where: str) -> None:
        """From 0 to 1, ANY or None. Raises BadInput: another one was said before."""
        _require_same(self.name, "position", self.position, position, where)
        self.position = self.position if position is None else position

    def say_class(self, name: str, where: str) -> None:
        """Raises BadInput: another one was said before."""
        _require_same(self.name, "class", self.class_name or None, name or None, where)
        self.class_name = name or self.class_name

    def say_seed(self, seed: int | None, where: str) -> None:
        """Raises BadInput: another one was said before, or it is out of range."""
        _require_same(self.name, "seed", self.seed, seed, where)
        if seed is not None and not 0 <= seed <= MAX_SEED:
            raise BadInput(where, f"has the seed {seed}", f"seeds go from 0 to {MAX_SEED}")
        self.seed = self.seed if seed is None else seed

    def checked(self, askable: Askable) -> NamedLayout:
        """The layout. Raises BadInput: it contradicts itself, or the generator cannot show it; names the place."""
        if self.tumour and self.boxes:
            cause = (
                f"gives a box to the image {self.name}, of which it is said that it has {self.tumour} tumour"
            )
            raise BadInput(self.boxes[0][0], cause, "leave out the box, or the word")
        position = None if isinstance(self.position, str) else self.position
        askable.require(Layout(position=position, class_name=self.class_name), self.where)
        for where, box in self.boxes:
            require_box(box, askable.resolution, where)
            askable.require(Layout((box,), position), where, self.anywhere)
        boxes = None if self.tumour == ANY else tuple(box for _, box in self.boxes)
        if boxes == () and not self.tumour and askable.conditions.tumour is None:
            boxes = None  # a file of positions or classes for a generator that knows no tumours
        layout = Layout(boxes, position, self.class_name)
        askable.require(layout, self.where, self.anywhere)
        drawn = self.position is None and askable.conditions.position
        return NamedLayout(self.name, layout, self.seed, drawn)


def image_name(text: str, where: str) -> str:
    """The name of an image, without blanks at its ends. Raises BadInput: nothing is left, or too much."""
    name = text.strip()
    if not 0 < len(name) <= MAX_NAME:
        raise BadInput(where, "names no image", f"give the image a name of 1 to {MAX_NAME} characters")
    return name


def _require_same(name: str, what: str, before: _Said | None, now: _Said | None, where: str) -> None:
    if before is not None and now is not None and before != now:
        cause = f"gives the image {name} the {what} {now}, and an earlier line {before}"
        raise BadInput(where, cause, "give it once, or each time the same")
