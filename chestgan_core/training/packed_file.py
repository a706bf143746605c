"""The slices of a training set in one file on the local disk, in the order and at the size that a training takes them.

In: a `SliceTable`. Out: `MappedImages` of a file below $CHESTGAN_HOME/mapped-slices, which is named by what it was made
of. It holds images of people and lives as long as a process uses it: the last one removes it, and what a killed process
leaves is used by the next training on the same slices, or removed by the next one on others.

The file is a safetensors file with `images`, (N, R, R): int16 as stored, where nothing is resized, which is half of
float32 and gives the same bits through the window; else float32 in [-1, 1]. It is written part by part under another
name, and its metadata has the sha256 of its values.
"""

import fcntl
import hashlib
import json
import logging
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput
from chestgan_core.local.files import file_error, file_lock, replacing, require_space
from chestgan_core.local.progress import Progress
from chestgan_core.local.used_files import remove_unused
from chestgan_core.store.artefacts import canonical_json, sha256_of
from chestgan_core.training.mapped_images import IMAGES, MappedImages
from chestgan_core.training.slice_table import SliceTable, as_images

VERSION = 1  # of what the values of a packed file are
REMEDY = "set CHESTGAN_HOME to a folder of yours on a local disk, or CHESTGAN_SLICES to memory"
_DATA_AT = 4096  # bytes: whole pages of the file are whole pages of the mapping
_UNKNOWN = "0" * 64
_TRIES, _WAIT = 50, 0.1  # seconds between two

log = logging.getLogger(__name__)


def packed_bytes(table: SliceTable, experiment: Experiment) -> int:
    """What the file takes on the disk."""
    return _DATA_AT + len(table) * experiment.resolution**2 * _dtype(table, experiment).itemsize


def open_packed(table: SliceTable, experiment: Experiment, folder: Path) -> MappedImages:
    """The images of a table, from a file in `folder` that is made where it is not there.

    Of several processes that need the same, one makes it and the others wait for it.
    Raises DiskFull, BadInput: the folder cannot be written, a shard was changed meanwhile, a slice is in two files, a
    damaged file is in use.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        key = _key(table, experiment)
        path = folder / f"{key}.safetensors"
        remove_unused(folder, but=path)
        held = ExitStack()
        held.callback(remove_unused, folder)
        held.push(_locked(path, key, table, experiment))
    except OSError as error:
        raise file_error(folder, error, REMEDY) from error
    is_float = _dtype(table, experiment) == np.float32
    return MappedImages(path, None if is_float else experiment.display_window, held)


def _locked(path: Path, key: str, table: SliceTable, experiment: Experiment) -> ExitStack:
    """The complete file is at `path`, and stays there until what is returned ends."""
    lock = path.with_suffix(".lock")
    for _ in range(_TRIES):
        with ExitStack() as stack:
            stack.enter_context(file_lock(lock, shared=True))  # waits for who makes it
            if _is_intact(path, key):
                log.info(f"{path.name}: was left by a training on the same slices, and is used again")
                return stack.pop_all()
        with suppress(BlockingIOError), ExitStack() as stack:
            descriptor = stack.enter_context(file_lock(lock, wait=False))
            _make(path, key, table, experiment)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            return stack.pop_all()
        time.sleep(_WAIT)
    raise BadInput(path, "is damaged, and another process uses it", "end that process, then train again")


def _make(path: Path, key: str, table: SliceTable, experiment: Experiment) -> None:
    dtype, size = _dtype(table, experiment), experiment.resolution
    require_space([(path.parent, packed_bytes(table, experiment), REMEDY)])
    digest = hashlib.sha256()
    with (
        replacing(path, durable=False) as part,
        part.open("wb") as file,
        Progress(f"training {experiment.name}", len(table), "slices put into one file") as progress,
    ):
        part.chmod(0o600)
        file.write(_header(key, _UNKNOWN, dtype, len(table), size))
        for slices in table.parts():
            stored = slices if dtype == np.int16 else as_images(slices, size, experiment.display_window)
            values = stored.numpy()
            digest.update(values.data)
            file.write(values.data)
            progress.step(len(slices))
        file.seek(0)
        file.write(_header(key, digest.hexdigest(), dtype, len(table), size))


def _header(key: str, sha256: str, dtype: "np.dtype[Any]", count: int, size: int) -> bytes:
    """Of a safetensors file, filled with spaces, as its format allows, up to _DATA_AT."""
    fields = {
        "__metadata__": {"made_of": key, "sha256": sha256},
        IMAGES: {
            "dtype": "I16" if dtype == np.int16 else "F32",
            "shape": [count, size, size],
            "data_offsets": [0, count * size * size * dtype.itemsize],
        },
    }
    length = _DATA_AT - 8
    return length.to_bytes(8, "little") + json.dumps(fields).encode().ljust(length)


def _is_intact(path: Path, key: str) -> bool:
    """Whether the file is there, was made of the same, and has the values that were written."""
    try:
        with safe_open(path, framework="np") as tensors:
            metadata = tensors.metadata() or {}
        with path.open("rb") as file:
            file.seek(_DATA_AT)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return False
    except (SafetensorError, OSError):
        metadata, sha256 = {}, ""
    intact = metadata == {"made_of": key, "sha256": sha256}
    if not intact:
        log.warning(f"{path}: is damaged, or something else, and is made again")
    return intact


def _key(table: SliceTable, experiment: Experiment) -> str:
    """Of what decides the values: the files of the shards, which of their slices, size and window."""
    window = experiment.display_window
    shards = []
    with Progress(f"training {experiment.name}", len(table), "slices looked at") as progress:
        for shard in table.shards:
            shards.append([sha256_of(shard.path), sha256_of(shard.at.tobytes())])
            progress.step(len(shard.at))
    return sha256_of(canonical_json([VERSION, experiment.resolution, *window.ends, window.unit, shards]))


def _dtype(table: SliceTable, experiment: Experiment) -> "np.dtype[Any]":
    resized = any(shard.size != experiment.resolution for shard in table.shards if len(shard.at))
    return np.dtype(np.float32 if resized else np.int16)
