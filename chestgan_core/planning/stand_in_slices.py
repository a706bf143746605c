"""Slices for a timed run where there are none: noise, with everything known of it that an experiment asks for.

What a step takes does not depend on what the slices show. In: an experiment. Out: LoadedSlices.
"""

import torch

from chestgan_core.config.experiment import Experiment
from chestgan_core.training.data import LoadedSlices

PATIENTS = 4


def stand_in_slices(experiment: Experiment) -> LoadedSlices:
    """Two batches of noise, at least 32 slices, of four patients."""
    count = max(2 * experiment.training.batch_size, 32)
    side, random = experiment.resolution, torch.Generator().manual_seed(experiment.seed)
    images = torch.rand(count, 1, side, side, generator=random) * 2 - 1
    numbers = torch.arange(count)
    conditions, classes = experiment.conditions, experiment.classes
    boxes = annotated = None
    if conditions.tumour is not None:
        boxes = torch.full((count, 1, 4), torch.nan)
        boxes[::2, 0] = side * torch.tensor([0.4, 0.4, 0.6, 0.6])
        annotated = torch.ones(count, dtype=torch.bool)
    return LoadedSlices(
        images=images,
        classes=numbers % len(classes) if classes else None,
        patients=tuple(f"stand-in {number}" for number in (numbers * PATIENTS // count).tolist()),
        positions=numbers / (count - 1) if conditions.position else None,
        boxes=boxes,
        annotated=annotated,
        pixel_mm=torch.full((count,), 1.0),
    )
