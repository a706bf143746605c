"""What images are asked to show where nobody asks for anything: layouts like those of the training slices.

In: the training slices, or numbered seeds. Out: the table of layouts that is saved with a generator, and what it is
told for each seed.
"""

from collections.abc import Sequence

import torch

from chestgan_core.config.conditions import MAX_TUMOURS
from chestgan_core.config.experiment import Experiment
from chestgan_core.layouts.layout import Layout
from chestgan_core.layouts.table import LayoutTable, build_table, draw_layouts
from chestgan_core.training.conditions import SliceConditions, class_numbers, conditions_asked
from chestgan_core.training.data import LoadedSlices
from chestgan_core.training.mapped_images import Images


def layouts_of(slices: LoadedSlices[Images], experiment: Experiment) -> LayoutTable | None:
    """The table of the training slices of an experiment; None where it asks neither for positions nor for tumours."""
    if not experiment.conditions:
        return None
    count = len(slices)
    boxes = torch.full((count, MAX_TUMOURS, 4), torch.nan)
    if slices.boxes is not None:
        boxes[:, : slices.boxes.shape[1]] = slices.boxes
    nowhere, unknown = torch.full((count,), torch.nan), torch.zeros(count, dtype=torch.bool)
    return build_table(
        slices.images,
        boxes,
        unknown if slices.annotated is None else slices.annotated,
        nowhere if slices.positions is None else slices.positions,
        slices.classes,
        slices.patients,
        nowhere if slices.pixel_mm is None else slices.pixel_mm,
        slices.lung_mm,
        experiment.seed,
        experiment.display_window,
    )


def layouts_for(
    seeds: Sequence[int],
    experiment: Experiment,
    table: LayoutTable | None,
    tumour_fraction: float | None = None,
) -> list[Layout] | None:
    """The layout of each seed; None of a generator that is asked for no more than a class."""
    if table is None:
        return None
    return draw_layouts(table, seeds, len(experiment.classes), tumour_fraction)


def asked_of(
    seeds: Sequence[int],
    experiment: Experiment,
    table: LayoutTable | None,
    layouts: Sequence[Layout] | None = None,
) -> SliceConditions:
    """What the generator is told of each seed. layouts: one per seed; None takes those drawn from the table."""
    if layouts is None:
        layouts = layouts_for(seeds, experiment, table) or [Layout()] * len(seeds)
    return conditions_asked(layouts, class_numbers(seeds, experiment, layouts), experiment)
