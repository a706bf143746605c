"""What a store holds of many models: `fill_models`.

In: an embedded store, a number. Out: as many training runs, each with a report and a published set of two images, that
were committed over 24 months. One of each is made by the real functions; the others have its bytes under other names.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import torch

from bench.cohort_store import Sender
from chestgan_core.config.experiment import parse_experiment
from chestgan_core.evaluation.pages.figures import COLUMNS, GAP, SYNTHETIC_GRID
from chestgan_core.imaging.pictures import image_grid, png_of
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.versions.status import SetStatus
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store import keys
from chestgan_core.store.artefacts import canonical_json, content_version, folder_of
from chestgan_core.store.client import Access
from chestgan_core.training.run_manifest import RunManifest
from chestgan_core.training.weights import load_generator, save_generator
from tests.evaluation.reports import near, whole

MONTHS = 24


def fill_models(access: Access, count: int) -> None:
    """See above. The runs are of training sets that are not in the store."""
    sender, now = Sender(access), datetime.now(UTC)
    experiment = parse_experiment(
        {
            "dataset": "phantom",
            "resolution": 32,
            "network": {"latent_dim": 8, "generator_width": 4, "discriminator_width": 4},
            "training": {"images": 100},
        },
        "cohort",
        "a bench",
    )
    with tempfile.TemporaryDirectory(prefix="chestgan-bench-") as scratch:
        folder = Path(scratch)
        (folder / "model").mkdir()
        save_generator(folder / "model", build_generator(experiment), experiment)
        facts = {"source": "generated images", "source_licence": "none needed"}
        made = write_set(load_generator(folder / "model"), experiment, 2, 0, folder / "set", facts)
        files = {made.name(item): made.file(item).read_bytes() for item in made.objects}
        weights = (folder / "model" / "generator.safetensors").read_bytes()
    noise = torch.rand(16, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    grid = png_of(image_grid(noise, COLUMNS, gap=GAP))
    for number in range(count):
        name = f"cohort-{number:04d}"
        at = now - timedelta(days=30.4 * MONTHS * number / count)
        sender.committed = f"{at:%Y-%m-%dT%H:%M:%SZ}"
        settings = {**experiment.model_dump(mode="json"), "name": name}
        report = whole(name, near())
        run = RunManifest(
            run=report.run.run,
            experiment=settings,
            dataset="phantom",
            training_set=f"{number:016x}",
            device="cpu",
            precision="fp32",
            images_seen=64,
            seconds=1.0,
            resumed_at=0,
            best_kid=None,
            best_at=None,
        )
        sender.put_artefact(
            keys.run_manifest(name, run.run),
            {"generator.safetensors": weights + bytes([number % 256])},
            asdict(run),
        )
        sender.put(keys.run_latest(name), canonical_json({"run": run.run}))
        sender.put_artefact(
            keys.report_manifest(name, run.run, "v1"),
            {
                "report.json": canonical_json(report.as_json()),
                f"figures/{SYNTHETIC_GRID}": grid,
            },
            {"kind": "metric-report"},
        )
        sender.put(keys.report_latest(name), canonical_json({"run": run.run, "version": "v1"}))
        _put_set(sender, name, made.manifest, files)


def _put_set(sender: Sender, name: str, manifest: Mapping[str, Any], files: dict[str, bytes]) -> None:
    facts = {**manifest["set"], "name": name, "experiment": name}
    version = content_version(facts)
    key = keys.set_manifest(name, version)
    objects = []
    for item in manifest["objects"]:
        file = item["key"].split("/", 3)[3]
        sender.put(folder_of(key) + file, files[file])
        objects.append({**item, "key": folder_of(key) + file})
    status = SetStatus(name, version, "published", sender.committed)
    sender.put(keys.set_status(name, version), canonical_json(status.as_json()))
    sender.put(key, canonical_json({**manifest, "set": facts, "version": version, "objects": objects}))
    sender.put(keys.set_latest(name), canonical_json({"version": version}))
