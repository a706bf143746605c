"""Synthetic patients: stacks of slices of one seed, from the base to the apex of the lungs.

In: a generator and the layouts of the patients. Out: their stacks, what can be measured of them, and an animation. All
slices of a patient have the same noise, so that what the noise decides (the shape of the body, its vessels) stays from
slice to slice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from chestgan_core.imaging.animations import stack_animation
from chestgan_core.layouts.subject import SubjectLayouts
from chestgan_core.metrics.stacks import measure_stack
from chestgan_core.training.generation import CHUNK, generate
from chestgan_core.training.weights import LoadedGenerator

_BLOCK_BYTES = 2**28  # of the stacks that are made together


@dataclass(frozen=True)
class SubjectStack:
    """One synthetic patient. images: (n, 1, R, R) float32 in [-1, 1], from base to apex."""

    layouts: SubjectLayouts
    images: Tensor


def generate_subjects(
    generator: LoadedGenerator, subjects: Sequence[SubjectLayouts]
) -> Iterator[SubjectStack]:
    """The stacks of patients, one after the other. Each depends on the model, its seed and its layouts only.

    subjects: with equally many slices; fastest where their seeds follow each other.
    """
    if not subjects:
        return
    count, size = len(subjects[0].layouts), generator.experiment.resolution
    together = max(1, min(CHUNK, _BLOCK_BYTES // (count * size * size * 4)))
    for start in range(0, len(subjects), together):
        few = subjects[start : start + together]
        # Slice by slice, all patients: a chunk of the network holds a seed once.
        seeds = [one.seed for _ in range(count) for one in few]
        layouts = [one.layouts[at] for at in range(count) for one in few]
        images = generate(generator, seeds, layouts).view(count, len(few), 1, size, size)
        for number, one in enumerate(few):
            yield SubjectStack(one, images[:, number].contiguous())


def measured(stack: SubjectStack) -> dict[str, Any]:
    """What a stack is, and what is measured of it (metrics/stacks.py), as plain data.

    asked_mm3: of the asked ellipsoid. boxes_mm3: of its cuts by the planes, tumour_mm3: of what is bright in them. A
    report (evaluation/scoring/subject_metrics.py) compares both measures with those of real series.
    """
    of = stack.layouts
    boxes = [layout.boxes or () for layout in of.layouts]
    return {
        "seed": of.seed,
        "slices": len(of.layouts),
        "pixel_mm": of.pixel_mm,
        "asked_mm3": of.asked_mm3,
        **asdict(measure_stack(stack.images, boxes, of.pixel_mm, of.spacing_mm)),
    }


def animation_of(stack: SubjectStack, boxes: bool = False) -> bytes:
    """The slices of a patient from base to apex, as a GIF that repeats.

    boxes: with a frame around what was asked for.
    """
    asked = [layout.boxes or () for layout in stack.layouts.layouts]
    return stack_animation(stack.images, asked if boxes else None)
