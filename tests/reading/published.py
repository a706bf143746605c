"""A small published set with the real images for it: what a study is made of.

In: a store. Out: a set of 60 images of 32 x 32 pixels in two classes, made by a generator with random weights, and 60
noisy stand-ins of real slices of 6 patients. Only the bytes around pixels matter here, never how well they look.
"""

from pathlib import Path

import numpy as np
import torch

from chestgan_core.config.experiment import parse_experiment
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.images.frozen_study import FrozenStudy
from chestgan_core.reading.images.real_images import Collected, RealRow, commit_real_images
from chestgan_core.reading.study_key import Box
from chestgan_core.store.store import Store
from chestgan_core.training.weights import load_generator, save_generator

SIZE, IMAGES = 32, 60


def write_small_set(folder: Path, name: str = "small") -> SetFolder:
    fields = {
        "dataset": "phantom",
        "resolution": SIZE,
        "classes": ["A", "G"],
        "network": {"latent_dim": 8, "generator_width": 4, "discriminator_width": 4},
        "training": {"images": 100},
    }
    experiment = parse_experiment(fields, name, "a test")
    torch.manual_seed(0)
    (folder / "model").mkdir(parents=True)
    save_generator(folder / "model", build_generator(experiment), experiment)
    facts = {"source": "generated phantom images", "source_licence": "none needed"}
    return write_set(load_generator(folder / "model"), experiment, IMAGES, 0, folder / "set", facts)


def real_slices(ready: SetFolder, patients: int = 6, of_each: int = 10) -> Collected:
    """Noise, which compresses badly, unlike what the generator makes; patients in two classes, all levels."""
    noise = np.random.default_rng(0)
    rows = tuple(
        RealRow(
            image_class="AG"[patient % 2],
            patient=patient,
            level=round(at / (of_each - 1), 3),
            boxes=(Box(left=0.25, top=0.5, right=0.5, bottom=0.75),) if at % 2 else (),
        )
        for patient in range(1, patients + 1)
        for at in range(of_each)
    )
    pictures = noise.integers(0, 256, (len(rows), SIZE, SIZE), dtype=np.uint8)
    return Collected("run1", "set1", ready.facts.window, len(rows), rows, pictures)


def publish(store: Store, ready: SetFolder, patients: int = 6, of_each: int = 10) -> None:
    publish_set(store, ready)
    commit_real_images(store, ready.facts.name, ready.version, real_slices(ready, patients, of_each))


def design_of(ready: SetFolder, **fields: object) -> StudyDesign:
    return StudyDesign.model_validate(
        {
            "name": "study",
            "title": "Real or not?",
            "set_name": ready.facts.name,
            "set_version": ready.version,
            "images_per_side": 20,
            **fields,
        }
    )


def study_in_memory(images: int, warm_up: int = 4, repeats: float = 0.1, version: str = "v1") -> FrozenStudy:
    """A frozen study without a store: for what needs no pictures."""
    design = StudyDesign(
        name="study",
        title="Real or not?",
        set_name="small",
        set_version="s1",
        images_per_side=images // 2,
        warm_up=warm_up,
        repeats=repeats,
    )
    count = images + warm_up
    return FrozenStudy(
        design=design,
        version=version,
        count=count,
        resolution=4,
        window=(-1350, 150),
        window_unit="HU",
        warm_up=tuple(range(0, 2 * warm_up, 2)),
        main=tuple(sorted(set(range(count)) - set(range(0, 2 * warm_up, 2)))),
        real_images="p1",
        key_sha256="0" * 64,
        pictures=np.zeros((count, 4, 4), np.uint8),
    )
