"""Files for commands, made without DICOM: smooth slices in HU, and a tiny experiment."""

from pathlib import Path

import numpy as np

from chestgan_core.slices.shards import Shard, SliceRow, write_shard

TINY = """
dataset: phantom
resolution: 16
network: {generator_width: 3, discriminator_width: 3, latent_dim: 4}
training: {batch_size: 8, images: 32, checkpoint_every_images: 16, sample_every_images: 16}
"""


def smooth(count: int, seed: int, size: int = 16) -> np.ndarray:
    """(count, size, size) int16 HU inside the lung window, each slice another one."""
    rng = np.random.default_rng(seed)
    axis = np.linspace(0, np.pi, size)
    waves = rng.uniform(0.5, 3, (count, 2, 1, 1)) * np.stack(np.meshgrid(axis, axis, indexing="ij"))
    return (-600 + 700 * np.sin(waves.sum(axis=1) + rng.uniform(0, 6, (count, 1, 1)))).astype(np.int16)


def write_slices(path: Path, patients: str, each: int = 12, seed: int = 0, size: int = 16) -> Path:
    """A shard of so many slices of each patient (a letter each)."""
    names = [patient for patient in patients for _ in range(each)]
    rows = tuple(
        SliceRow(name, "", "1.2", f"1.2.{seed}.{at}", float(at), 0.3, 5.0) for at, name in enumerate(names)
    )
    write_shard(Shard(smooth(len(names), seed, size), rows), path)
    return path
