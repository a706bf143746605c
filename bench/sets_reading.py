"""Reading published sets: the first batch, and a stream from S3 against the fetched files.

A set of 10,000 images of 64 x 64 in an embedded store. Every measurement of a first batch is a fresh interpreter, as a
person's script is, from the import of chestgan on; PyTorch's own import is subtracted.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

import torch

from bench.ratio import Ratio
from chestgan_core.config.experiment import parse_experiment
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing import open_set, stream_set
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.training.weights import load_generator, save_generator

IMAGES, ROUNDS = 10_000, 3
FIRST_BATCH = """
import sys, time
import torch.utils.data
start = time.perf_counter()
from chestgan_core.publishing import open_set, stream_set
images = (open_set if sys.argv[1] == "fetched" else stream_set)(sys.argv[2])
next(iter(torch.utils.data.DataLoader(images, batch_size=32)))
print(time.perf_counter() - start)
"""


def made_set(folder: Path, images: int) -> SetFolder:
    """A set of images of a small random generator."""
    experiment = parse_experiment(
        {
            "dataset": "phantom",
            "network": {"latent_dim": 16, "generator_width": 8},
            "training": {"images": 100},
        },
        "bench",
        "the benchmark",
    )
    model = folder / "model"
    model.mkdir(parents=True)
    torch.manual_seed(0)
    save_generator(model, build_generator(experiment), experiment)
    provenance = {"source": "no images at all", "source_licence": "none needed"}
    return write_set(load_generator(model), experiment, images, 0, folder / "set", provenance)


def measure() -> list[Ratio]:
    """Medians of interleaved rounds."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        made = made_set(place, IMAGES)
        with EmbeddedStore(place / "home") as server, mock.patch.dict(os.environ, server.environment):
            uri = publish_set(server.store(), made).uri
            fetched, streamed, first, first_streamed = [], [], [], []
            for _ in range(ROUNDS):
                fetched.append(_images_per_second(iter(open_set(made.path))))
                streamed.append(_images_per_second(stream_set(uri)))
                first.append(_first_batch("fetched", str(made.path)))
                first_streamed.append(_first_batch("streamed", uri))
    middle = ROUNDS // 2
    return [
        Ratio(
            "stream a set / read the fetched one",
            sorted(streamed)[middle],
            sorted(fetched)[middle],
            "images/s",
            0.7,
            f"{IMAGES:,} images",
        ),
        Ratio(
            "first batch of a fetched set", sorted(first)[middle], 1, "s", 1, "fresh process", at_most=True
        ),
        Ratio(
            "first batch of a stream",
            sorted(first_streamed)[middle],
            1,
            "s",
            3,
            "fresh process",
            at_most=True,
        ),
    ]


def _images_per_second(images: Iterable[object]) -> float:
    start = time.perf_counter()
    count = sum(1 for _ in images)
    return count / (time.perf_counter() - start)


def _first_batch(kind: str, where: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_BATCH, kind, where], capture_output=True, text=True, check=True
    )
    return float(done.stdout)
