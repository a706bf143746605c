"""Sets whose images were asked for tumours and positions: of a generator with random weights, which obeys nobody."""

from collections.abc import Sequence
from pathlib import Path

import torch

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.layouts.layout import Edges, Layout
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.writing.asked import LayoutSource
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.training.weights import LoadedGenerator, load_generator, save_generator
from tests.layouts.chests import table_of_chests

BOXES: tuple[tuple[Edges, ...] | None, ...] = (
    (),
    ((3.25, 10.3, 20.5, 31.75),),
    ((0.0, 0.0, 64.0, 64.0), (1.1, 2.2, 3.3, 4.4)),
    None,
)
"""Pixels. None: nothing is said about tumours."""
POSITIONS = (None, 0.0, 0.1234, 1.0, 0.5)
IMAGES, FIRST_SEED = 4, 100


def asking_experiment(classes: Sequence[str] = (), position: bool = True, tumour: bool = True) -> Experiment:
    """A tiny one with these conditions."""
    return parse_experiment(
        {
            "dataset": "phantom",
            "classes": list(classes),
            "network": {"latent_dim": 8, "generator_width": 4, "discriminator_width": 4},
            "conditions": {"position": position, **({"tumour": {}} if tumour else {})},
            "training": {"images": 100},
        },
        "asking",
        "a test",
    )


def asking_generator(folder: Path, experiment: Experiment) -> LoadedGenerator:
    """One with random weights, which holds a table of layouts where it has conditions."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    told = experiment.conditions
    table = table_of_chests(
        classes=len(experiment.classes),
        positions=told.position,
        **({} if told.tumour else {"box": None}),  # type: ignore[arg-type]
    )
    save_generator(folder, build_generator(experiment), experiment, layouts=table if told else None)
    return load_generator(folder)


def layouts_by_hand(boxes: Sequence[tuple[Edges, ...] | None] = BOXES) -> LayoutSource:
    """That of seed k has the boxes k modulo their number."""

    def of(seeds: Sequence[int]) -> list[Layout]:
        return [
            Layout(boxes[(seed - FIRST_SEED) % len(boxes)], POSITIONS[seed % len(POSITIONS)])
            for seed in seeds
        ]

    return LayoutSource(of, f"by hand {boxes}")


def write_boxed_set(
    generator: LoadedGenerator,
    folder: Path,
    provenance: dict[str, str],
    images: int = IMAGES,
    boxes: Sequence[tuple[Edges, ...] | None] = BOXES,
) -> SetFolder:
    """Images 0, 1, 2, ... have the boxes 0, 1, 2, ... by hand."""
    return write_set(
        *(generator, generator.experiment, images, FIRST_SEED, folder, provenance),
        layouts=layouts_by_hand(boxes),
    )
