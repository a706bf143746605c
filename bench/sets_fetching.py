"""A set of 10,000 images: fetch against the plain boto3 transfer manager, verify against sha256sum.

The bucket is a SeaweedFS of this machine, which takes cores from both. boto3 writes the files and checks nothing; ours
has every file's sha256 at the end. sha256sum reads the files, and so do we; with images, each PNG is decoded too, which
is not the same work: that row says what it costs.
"""

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from boto3.s3.transfer import TransferConfig, create_transfer_manager

from bench.ratio import Ratio
from chestgan_core.config.experiment import parse_experiment
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.fetching import fetch_set
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.transfer.verifying import verify_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.training.weights import load_generator, save_generator

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

IMAGES, ROUNDS = 10_000, 9
_SETTINGS = {
    "dataset": "phantom",
    "network": {"latent_dim": 8, "generator_width": 4, "discriminator_width": 4},
    "training": {"images": 100},
}


def measure() -> list[Ratio]:
    """MB per second, the medians of alternating runs."""
    with (
        tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch,
        EmbeddedStore(Path(scratch) / "server") as server,
    ):
        store, target = server.store(), Path(scratch) / "target"
        ready = _written(Path(scratch))
        publish_set(store, ready)
        keys = [ready.manifest_key, *(item.key for item in ready.objects)]
        work: dict[str, Callable[[], object]] = {
            "boto3": lambda: _plainly(store.client, store.bucket, keys, target),
            "fetch": lambda: fetch_set(store, ready.facts.name, ready.version, target),
            "sha256sum": lambda: _sha256sum(ready),
            "files": lambda: verify_set(ready.path, images=False),
            "images": lambda: verify_set(ready.path),
        }
        rates: dict[str, list[float]] = {name: [] for name in work}
        for done in range(
            1 + ROUNDS
        ):  # interleaved, so that a busy machine slows all; the first round warms up
            for name, run in work.items():
                started = time.perf_counter()
                run()
                seconds = time.perf_counter() - started
                shutil.rmtree(target, ignore_errors=True)
                if done:
                    rates[name].append(ready.bytes / 1e6 / seconds)
    median = {name: statistics.median(found) for name, found in rates.items()}
    size = f"{IMAGES:,} images, {ready.bytes / 1e6:.0f} MB, median of {ROUNDS}"
    return [
        Ratio("fetch a set", median["fetch"], median["boto3"], "MB/s", 0.9, f"{size}; with every sha256"),
        Ratio("verify a set, its files", median["files"], median["sha256sum"], "MB/s", 0.8, size),
        Ratio(
            "verify a set, files and images",
            median["images"],
            median["sha256sum"],
            "MB/s",
            0.8,
            f"{size}; every PNG is decoded and compared with its label, which sha256sum does not do",
        ),
    ]


def _written(scratch: Path) -> SetFolder:
    experiment = parse_experiment(_SETTINGS, "bench", "the bench")
    torch.manual_seed(0)
    save_generator(scratch, build_generator(experiment), experiment)
    facts = {"source": "generated phantom images", "source_licence": "none needed"}
    return write_set(load_generator(scratch), experiment, IMAGES, 0, scratch / "set", facts)


def _plainly(client: "S3Client", bucket: str, keys: list[str], target: Path) -> None:
    target.mkdir()
    with create_transfer_manager(client, TransferConfig()) as manager:
        for future in [manager.download(bucket, key, str(target / Path(key).name)) for key in keys]:
            future.result()


def _sha256sum(ready: SetFolder) -> None:
    files = [str(ready.file(item)) for item in ready.objects]
    subprocess.run(["sha256sum", *files], check=True, stdout=subprocess.DEVNULL)
