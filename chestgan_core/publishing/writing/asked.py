"""What the images of a set are asked to show: drawn for their seeds when they are generated, and read from their labels
when they are made again.

In: a generator and the fraction of images with a tumour; or labels. Out: layouts as generation takes them, and the
fields of labels that say them. A generator that is told neither position nor tumours takes no layouts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.layouts.layout import Layout
from chestgan_core.layouts.table import draw_layouts
from chestgan_core.publishing.reader.labels import MAX_BOXES, Boxes
from chestgan_core.publishing.reader.manifest import SetFacts

if TYPE_CHECKING:
    from chestgan_core.training.weights import LoadedGenerator


@dataclass(frozen=True)
class LayoutSource:
    """Where the layouts of a set come from.

    of: seeds -> the layout of each, the same for a seed whatever is beside it. name: what decides them besides the
    generator: releases that differ in it share no image.
    """

    of: Callable[[Sequence[int]], Sequence[Layout]]
    name: str


class Labelled(Protocol):
    """What has labels by the number of an image: a reader of sets."""

    def label(self, k: int, /) -> Mapping[str, Any]:
        """Of image k."""
        ...


def conditions_of(experiment: Experiment) -> tuple[str, ...]:
    """What generators of an experiment are told of an image: some of manifest.CONDITIONS, in their order."""
    told = {
        "class": bool(experiment.classes),
        "position": experiment.conditions.position,
        "tumour": experiment.conditions.tumour is not None,
    }
    return tuple(name for name, is_told in told.items() if is_told)


def drawn_layouts(generator: "LoadedGenerator", tumour_fraction: float | None) -> LayoutSource | None:
    """Layouts drawn from the table of a generator; None: it takes none.

    Raises BadInput: a fraction of tumours, and it is told of none, or its training slices had none.
    """
    experiment, table = generator.experiment, generator.layouts
    told = experiment.conditions
    what = f"the generator of {experiment.name}"
    if tumour_fraction is not None and told.tumour is None:
        cause = "is not told where tumours are, so no fraction of its images can be asked to show one"
        raise BadInput(what, cause, "leave out publication.tumour_fraction, or train with conditions.tumour")
    if table is None:
        return None

    def drawn(seeds: Sequence[int]) -> list[Layout]:
        return draw_layouts(table, seeds, len(experiment.classes), tumour_fraction)

    drawn([0])  # refuses what it cannot draw, before the first image
    return LayoutSource(drawn, f"drawn, {tumour_fraction}")


def layouts_again(
    generator: "LoadedGenerator", facts: SetFacts, published: Labelled | None, seeds: Sequence[int]
) -> list[Layout] | None:
    """What images of a set's generator were asked to show: published ones by their labels, others as they are drawn.

    Args:
        generator: That of the set.
        facts: Of the set.
        published: Its labels; None: all are drawn.
        seeds: Of any images.

    Returns:
        A layout per seed; None: the generator takes none.
    """
    source = drawn_layouts(generator, facts.tumour_fraction)
    if source is None:
        return None
    there = facts.seeds if published else range(0)
    drawn = iter(source.of([seed for seed in seeds if seed not in there]))
    return [
        layout_of_label(published.label(seed - facts.first_seed))
        if published and seed in there
        else next(drawn)
        for seed in seeds
    ]


def layout_of_label(label: Mapping[str, Any]) -> Layout:
    """What the label of an image says that it was asked to show; the class is that of its seed."""
    boxes: Boxes = label["boxes"]
    return Layout(None if boxes is None else tuple(_edges(*box) for box in boxes), label["position"])


def _edges(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
    return left, top, right, bottom


def asked_fields(layout: Layout | None, k: int, facts: SetFacts) -> tuple[Boxes, float | None]:
    """boxes and position of the label of image k. layout: None where the generator takes none.

    Raises BadInput: the layout asks for what no label of this set can say.
    """
    if layout is None:
        return None, None
    what, side = f"the layout of image {k}", facts.resolution
    if layout.class_name not in ("", facts.class_of(k)):
        raise BadInput(what, f"is of the class {layout.class_name}", "leave out the class: seeds take turns")
    boxes, position = layout.boxes if facts.has_boxes else None, layout.position
    if boxes is not None and not (
        len(boxes) <= MAX_BOXES
        and all(0 <= x0 < x1 <= side and 0 <= y0 < y1 <= side for x0, y0, x1, y1 in boxes)
    ):
        cause = f"has more than {MAX_BOXES} boxes, or one that is not within {side} x {side} pixels"
        raise BadInput(what, cause, "give boxes as left, top, right, bottom in pixels of the image")
    if position is not None and not 0 <= position <= 1:
        raise BadInput(what, f"has the position {position:g}", "give one from 0 (base) to 1 (apex)")
    return (
        None if boxes is None else [list(box) for box in boxes],
        position if facts.has_position else None,
    )
