"""Slices of one shard as the two files that a training and its judge read, split by patient as a training set does."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from chestgan_core.slices.splits import HELD_OUT_FRACTION

if TYPE_CHECKING:
    from chestgan_core.slices.shards import Shard

log = logging.getLogger("chestgan.bench")


def write_sides(shard: "Shard", folder: Path, held_out_fraction: float = HELD_OUT_FRACTION) -> None:
    """train.safetensors and held-out.safetensors. held_out_fraction: of the patients."""
    from chestgan_core.slices.shards import Shard, write_shard
    from chestgan_core.slices.splits import SIDES, split_patients

    split = split_patients({row.patient: row.histology for row in shard.rows}, held_out_fraction)
    for side in SIDES:
        chosen = [at for at, row in enumerate(shard.rows) if split.side(row.patient) == side]
        rows = tuple(shard.rows[at] for at in chosen)
        write_shard(Shard(shard.slices[chosen], rows), folder / f"{side}.safetensors")
        log.info(f"{side}: {len(rows)} slices of {len({row.patient for row in rows})} patient(s)")
