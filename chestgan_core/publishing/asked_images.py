"""Which images a person asks a generator for: seeds, and what each image is to show.

In: a generator, and options or a file of layouts. Out: `AskedImages`, and the images of pairs. The input of a generator
is noise: nothing here takes an image, so that no tumour can be put into the scan of a person.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from chestgan_core.errors import BadInput
from chestgan_core.layouts.askable import Askable
from chestgan_core.layouts.completing import completed
from chestgan_core.layouts.files import read_layouts
from chestgan_core.layouts.gathering import MAX_IMAGES, NamedLayout
from chestgan_core.layouts.layout import NOTHING_ASKED, Layout
from chestgan_core.layouts.table import draw_layouts
from chestgan_core.training.generation import CHUNK, generate, require_seeds
from chestgan_core.training.weights import LoadedGenerator

_BLOCK = 1024  # layouts drawn at once: memory does not grow with the number of images
_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class AskedImages:
    """seeds: of the images. layouts_of: numbers of images, from 0, that follow each other -> their layouts; None: the
    generator takes none. names: of the images in their file; None: they are named by their seeds.
    """

    seeds: Sequence[int]
    layouts_of: Callable[[range], list[Layout]] | None = None
    names: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.seeds)

    def layouts(self) -> Iterator[Layout] | None:
        """One per image, as they are needed; the same each time."""
        return None if self.layouts_of is None else self._blocks(self.layouts_of)

    def _blocks(self, layouts_of: Callable[[range], list[Layout]]) -> Iterator[Layout]:
        for start in range(0, len(self.seeds), _BLOCK):
            yield from layouts_of(range(start, min(start + _BLOCK, len(self.seeds))))

    def file_names(self) -> Iterator[str]:
        """One per image, without its ending: seed-000005; of a file of layouts 000000-NAME."""
        if self.names is None:
            yield from (f"seed-{seed:06d}" for seed in self.seeds)
        else:
            for number, name in enumerate(self.names):
                yield f"{number:06d}-{_NO_FILE_NAME.sub('-', name)}"

    def labels(self) -> Iterator[NamedLayout]:
        """What each image is asked to show, to be written beside the images; none where nothing is asked."""
        names = self.file_names() if self.names is None else iter(self.names)
        for seed, name, layout in zip(self.seeds, names, self.layouts() or (), strict=False):
            yield NamedLayout(name, layout, seed)


def askable_of(generator: LoadedGenerator) -> Askable:
    """What a generator can be asked."""
    experiment = generator.experiment
    return Askable(experiment.resolution, experiment.classes, experiment.conditions, generator.layouts)


def asked_of_seeds(
    generator: LoadedGenerator,
    seeds: Sequence[int],
    asked: Layout = NOTHING_ASKED,
    tumour_fraction: float | None = None,
) -> AskedImages:
    """One image per seed.

    Args:
        generator: From `load_generator`.
        seeds: 0 to 2^32 - 1, counting up.
        asked: Of every image; what it leaves open is drawn for each seed.
        tumour_fraction: Of the images with a tumour where `asked` says nothing at all; None: as among the training
            slices.

    Raises:
        BadInput: A seed is out of range, or the generator cannot show what is asked.
    """
    require_seeds(seeds)
    askable = askable_of(generator)
    askable.require(asked, "what is asked")
    table = generator.layouts
    if asked == NOTHING_ASKED and table is None:
        return AskedImages(seeds)
    if asked != NOTHING_ASKED or table is None:
        return AskedImages(
            seeds,
            lambda numbers: completed(askable, [asked] * len(numbers), seeds[numbers.start : numbers.stop]),
        )
    classes = len(askable.classes)
    draw_layouts(table, seeds[:1], classes, tumour_fraction)  # refuses what it cannot draw
    return AskedImages(
        seeds,
        lambda numbers: draw_layouts(table, seeds[numbers.start : numbers.stop], classes, tumour_fraction),
    )


def asked_of_file(generator: LoadedGenerator, path: Path, first_seed: int) -> AskedImages:
    """One image per image of a file of layouts. first_seed: of the first that the file gives none; the others follow.

    Raises BadInput: as layouts.files.read_layouts, or a seed out of range.
    """
    askable = askable_of(generator)
    named = read_layouts(path, askable)
    seeds, following = [], first_seed
    for one in named:
        seeds.append(following if one.seed is None else one.seed)
        following += one.seed is None
    require_seeds([min(seeds), max(seeds)])
    drawn = [number for number, one in enumerate(named) if one.drawn]
    layouts = [one.layout for one in named]
    found = completed(askable, [layouts[at] for at in drawn], [seeds[at] for at in drawn], tumours=False)
    for at, layout in zip(drawn, found, strict=True):
        layouts[at] = layout
    return AskedImages(
        seeds, lambda numbers: layouts[numbers.start : numbers.stop], [one.name for one in named]
    )


def asked_pairs(images: AskedImages) -> AskedImages:
    """Each image twice: as it is asked for, and of the same seed without a tumour.

    Raises BadInput: an image without a tumour, or more than MAX_IMAGES; found before the first image is made.
    """
    if len(images) > MAX_IMAGES:
        raise BadInput(
            f"{len(images)} pairs", "are more than can be made at once", f"give at most {MAX_IMAGES}"
        )
    for label in images.labels():
        if not label.layout.boxes:
            cause = "has no tumour, and a pair is the same image with it and without"
            raise BadInput(f"image {label.name}", cause, "ask for a tumour in each image")
    layouts_of = images.layouts_of
    if layouts_of is None:
        raise BadInput(
            "the pairs", "need a generator that can be told tumours", "train one with conditions.tumour"
        )
    names = images.names if images.names is not None else list(images.file_names())
    return AskedImages(
        [seed for seed in images.seeds for _ in range(2)],
        lambda numbers: _with_and_without(layouts_of, numbers),
        [f"{name}-{which}" for name in names for which in ("with", "without")],
    )


def _with_and_without(layouts_of: Callable[[range], list[Layout]], numbers: range) -> list[Layout]:
    first = numbers.start // 2
    layouts = layouts_of(range(first, (numbers.stop + 1) // 2))
    pick = (layouts[number // 2 - first] for number in numbers)
    return [replace(layout, boxes=()) if at % 2 else layout for at, layout in zip(numbers, pick, strict=True)]


def pair_stream(generator: LoadedGenerator, pairs: AskedImages) -> Iterator[tuple[Tensor, Tensor, Layout]]:
    """The images of `asked_pairs`: with the tumour and without, (1, R, R) float32 in [-1, 1], and what was asked."""
    # All with tumours of a block, then all without: a chunk of the network holds a seed once.
    for start in range(0, len(pairs), 2 * CHUNK):
        numbers = range(start, min(start + 2 * CHUNK, len(pairs)))
        layouts = pairs.layouts_of(numbers) if pairs.layouts_of else []
        seeds = pairs.seeds[numbers.start : numbers.stop : 2]
        shown, without = (generate(generator, seeds, layouts[which::2]) for which in (0, 1))
        yield from zip(shown, without, layouts[::2], strict=True)
