"""A store for the public pages: sets with and without classes, of two versions, withdrawn, of pictures; runs, a study.

Generators have random weights: only what is around the images matters here. What takes long, a real run with its
report, comes from the stages of the pipeline's tests.
"""

import io
import json
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from chestgan_core.config.experiment import Experiment, parse_experiment
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.reading.analysis.analyse import analyse
from chestgan_core.reading.analysis.result import StudyResult
from chestgan_core.reading.pages.result_charts import draw_charts
from chestgan_core.store import keys
from chestgan_core.store.artefacts import content_version
from chestgan_core.store.store import Store
from chestgan_core.training.weights import load_generator, save_generator
from chestgan_core.tuning.manifest import StudyManifest
from chestgan_core.tuning.plan import StudyData, StudyPlan
from chestgan_core.tuning.report_files import report_files
from chestgan_core.tuning.study import KidFloor
from chestgan_core.tuning.table import StudyTable, TrialRow
from tests.reading.simulated_study import simulated_study
from tests.tuning.conftest import small, space, study_settings

REASON = "Image 7 is nearly a training image <b>of a person</b>."
FRAMES = 5


def _experiment(name: str, **more: object) -> Experiment:
    fields: dict[str, object] = {
        "dataset": "phantom",
        "resolution": 32,
        "network": {"latent_dim": 8, "generator_width": 4, "discriminator_width": 4},
        "training": {"images": 100},
        **more,
    }
    return parse_experiment(fields, name, "a test")


@cache
def _folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="chestgan-public-sets-")


@cache
def sets_on_disk() -> dict[str, SetFolder]:
    """`first` and `second`: versions of the set plain, 70 and 12 images; `typed`: classes A and G; `pictures`: grey."""
    folder = Path(_folder().name)
    facts = {"source": "generated <phantom> images", "source_licence": "none needed"}
    found = {}
    for place, (key, experiment, count) in enumerate(
        (
            ("first", _experiment("plain"), 70),
            ("second", _experiment("plain", seed=1), 12),
            ("typed", _experiment("typed", classes=["A", "G"]), 9),
            ("pictures", _experiment("pictures", dataset="chest_xray_pneumonia", window="grey"), 6),
        )
    ):
        model = folder / key / "model"
        model.mkdir(parents=True)
        torch.manual_seed(place)
        save_generator(model, build_generator(experiment), experiment)
        found[key] = write_set(load_generator(model), experiment, count, 100, folder / key / "set", facts)
    return found


def publish_all(store: Store) -> dict[str, SetFolder]:
    """All of them; the first version of plain is withdrawn, the second replaces it."""
    found = sets_on_disk()
    for one in found.values():
        publish_set(store, one)
    withdraw_set(store, "plain", found["first"].version, REASON, found["second"].version)
    return found


def film() -> bytes:
    """A progress film: each frame is of another grey."""
    frames = [Image.new("L", (64, 32), 40 * number) for number in range(FRAMES)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=100, loop=0)
    return buffer.getvalue()


def commit_run(store: Store, made: SetFolder, run: str = "run1", gif: bytes | None = None) -> None:
    """A run whose generator made a set: its weights, of which only the sha256 counts here, and its film."""
    weights = (made.path.parent / "model" / "generator.safetensors").read_bytes()
    files: dict[str, bytes | Path] = {"generator.safetensors": weights, "progress.gif": gif or film()}
    store.commit(keys.run_manifest(made.facts.experiment, run), files, {"kind": "generator", "run": run})
    store.update_pointer(keys.run_latest(made.facts.experiment), {"run": run})


def commit_study(store: Store, experiment: str = "tiny") -> StudyTable:
    """A hyperparameter study of four trials, with the report that a real one has."""
    data = StudyData(
        version="v1", title="phantoms", image_kind="phantom", patients=3, slices=30, held_out_patients=2,
        held_out_slices=20,
    )  # fmt: skip
    rows = tuple(
        TrialRow(
            number, 0.5 - 0.1 * number, (0.9, 0.5), (1, 2), {"training.optimizer.lr": 1e-3 * (number + 1)}, "",
            number == 0, 1, 64, 1.0,
        )
        for number in range(4)
    )  # fmt: skip
    plan = StudyPlan.of(small(), space(), data, study_settings())
    shares = {"training.optimizer.lr": 0.7, "training.batch_size": 0.3}
    table = StudyTable(plan, KidFloor("efficientnet-lite0:abc", 8, 0.02), rows, shares, failed=0)
    key = keys.study_manifest(experiment, plan.study, table.version)
    store.commit(key, report_files(table), asdict(StudyManifest.of(table)))
    store.update_pointer(keys.study_latest(experiment), {"study": plan.study, "version": table.version})
    return table


def commit_reader_result(store: Store, set_name: str) -> StudyResult:
    """The analysis of a simulated study, with its charts."""
    result = analyse(*simulated_study())
    files = {f"charts/{name}": png for name, png in draw_charts(result).items()}
    files["result.json"] = result.model_dump_json().encode()
    key = keys.reader_result_manifest(set_name, "simulated", "v1")
    store.commit(key, files, {"kind": "reader-study-result"})
    store.update_pointer(keys.reader_result_latest(set_name), {"study": "simulated", "version": "v1"})
    return result


def commit_xray_annex(store: Store, experiment: str = "xray-dcgan-64") -> None:
    """The report of `tiny`, as one on pictures would be: grey window, another dataset; and its run with a film."""
    run, version = store.read_pointer(keys.report_latest("tiny"), "run", "version")
    report = store.read_manifest(keys.report_manifest("tiny", run, version))
    fields: dict[str, Any] = json.loads(store.read(report, "report.json"))
    fields["window"] = {"centre": 127.5, "width": 255, "unit": "grey"}
    fields["data"] |= {
        "dataset": "chest_xray_pneumonia",
        "title": "Chest X-ray images",
        "licence": "CC BY 4.0",
    }
    content = json.dumps(fields).encode()
    made = content_version(content)
    store.commit(
        keys.report_manifest(experiment, run, made), {"report.json": content}, {"kind": "metric-report"}
    )
    store.update_pointer(keys.report_latest(experiment), {"run": run, "version": made})
    store.commit(
        keys.run_manifest(experiment, run), {"progress.gif": film()}, {"kind": "generator", "run": run}
    )
