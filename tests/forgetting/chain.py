"""Everything that the store can hold of a patient.

In: the slices of three people, made by the real steps. Out: what is made of them: a training set, a run with its report
and features, a published set, real images and a frozen reader study with an offline file, a month, a comparison, tumour
boxes, a hyperparameter study, an unfinished training, what killed writers left. `real`: training, report, set, real
images and month by their real steps, which takes half a minute; else their artefacts with a few bytes each.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.parquet as pq
import torch

from chestgan_core.config.dataset import dataset_named
from chestgan_core.evaluation.monthly.page import report_month
from chestgan_core.evaluation.stored_report import report_experiment
from chestgan_core.local.parquet import write_parquet
from chestgan_core.networks.registry import build_generator
from chestgan_core.publishing.release import release_experiment
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.writing.contents import ExtraFile
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.reading.design import StudyDesign
from chestgan_core.reading.images.frozen_study import freeze_study
from chestgan_core.reading.images.real_images import collect_real_images, commit_real_images
from chestgan_core.reading.offline.sealed_key import new_key, store_key
from chestgan_core.slices.newest_slices import newest_slices
from chestgan_core.slices.splits import HELD_OUT, TRAIN
from chestgan_core.slices.training_set import TrainingSet, build_training_set
from chestgan_core.sources.annotations.boxes import Annotations, TumourBox
from chestgan_core.sources.annotations.stored import table_of
from chestgan_core.sources.catalog.stored_catalog import read_catalog
from chestgan_core.store import keys
from chestgan_core.store.forgotten import now
from chestgan_core.store.store import Store
from chestgan_core.training.run import run_name, train_experiment
from chestgan_core.training.run_manifest import RunManifest
from chestgan_core.training.weights import load_generator, save_generator
from tests.pipeline.stages import tiny
from tests.reading.published import real_slices


@dataclass(frozen=True)
class Chain:
    """trained, held_out: a patient of each side. names: of each patient, what must not be found afterwards: the key,
    series, slices and the sha256 of shards and archives. set: `<set>/<version>`.
    """

    trained: str
    held_out: str
    names: dict[str, set[str]]
    training_set: str
    run: str
    set_version: str
    study: str


def make_chain(store: Store, folder: Path, *, real: bool) -> Chain:
    """See above. folder: scratch."""
    training_set = build_training_set(store, "folder")
    of_side = {side: training_set.side(side)[0].name for side in (TRAIN, HELD_OUT)}
    patients = [shard.name for shard in training_set.shards]
    _boxes(store, patients)
    run, report, version = (_steps if real else _artefacts)(store, training_set, folder)
    design = StudyDesign(
        name="study",
        title="Real or not?",
        set_name="tiny",
        set_version=version,
        images_per_side=4,
        warm_up=0,
        max_per_patient=100,
    )
    study = freeze_study(store, design)
    store_key(store, new_key(study))
    _commit(
        store, keys.comparison_manifest("architecture", "c1"), kind="comparison", reports={"tiny": report}
    )
    _commit(store, keys.leaderboard_manifest("l1"), kind="leaderboard", reports={"tiny": report})
    _commit(store, keys.leaderboard_manifest("l0"), kind="leaderboard", reports={"another": "r9"})
    _commit(store, keys.study_manifest("tiny", "s1", "v1"), kind="study", training_set=training_set.version)
    store.put_bytes(b"weights", keys.run_checkpoint("tiny", "0123456789abcdef"))
    store.put_bytes(b"pixels", f"training-sets/folder/killed/{'0' * 16}/contact-sheet-A.png")
    return Chain(
        of_side[TRAIN],
        of_side[HELD_OUT],
        {patient: _names(store, patient) for patient in patients},
        training_set.version,
        run,
        version,
        study.version,
    )


def _steps(store: Store, training_set: TrainingSet, folder: Path) -> tuple[str, str, str]:
    """Run, report and version of the set, each by its step; with the features, the real images and the month."""
    run = train_experiment(store, tiny(), "cpu", folder / "train")
    report = report_experiment(store, tiny(), "cpu", folder / "report")
    released = release_experiment(store, tiny(), "cpu", folder / "release")
    collect_real_images(store, "tiny", released.version, folder)
    report_month(store, now()[:7], folder / "month")
    return run.name, report.version, released.version


def _artefacts(store: Store, training_set: TrainingSet, folder: Path) -> tuple[str, str, str]:
    """The same with random weights, a report of a few bytes, and noise in place of the real images."""
    name = run_name(tiny(), training_set)
    (folder / "model").mkdir()
    torch.manual_seed(0)
    save_generator(folder / "model", build_generator(tiny()), tiny())
    manifest = RunManifest(
        run=name,
        experiment=tiny().model_dump(mode="json"),
        dataset="folder",
        training_set=training_set.version,
        device="cpu",
        precision="fp32",
        images_seen=64,
        seconds=1.0,
        resumed_at=0,
        best_kid=None,
        best_at=None,
    )
    weights = folder / "model" / "generator.safetensors"
    store.commit(keys.run_manifest("tiny", name), {weights.name: weights}, asdict(manifest))
    store.update_pointer(keys.run_latest("tiny"), {"run": name})
    _commit(store, keys.report_manifest("tiny", name, "r1"), kind="metric-report", run=name)
    store.update_pointer(keys.report_latest("tiny"), {"run": name, "version": "r1"})
    _commit(store, keys.features_manifest("folder", training_set.version, HELD_OUT, "f1"), kind="features")
    month = {"runs": [{"experiment": "tiny", "run": name}], "reports": []}
    store.commit(
        keys.month_manifest("2026-01", "m1"),
        {"month.json": json.dumps(month).encode()},
        {"kind": "monthly-report"},
    )
    facts = {"source": "phantoms", "source_licence": "none needed", "run": name}
    series = "\n".join(
        f"{shard.side},{row.key}"
        for shard in training_set.shards
        for row in read_catalog(store, "folder").of(shard.name)
    )
    extra: dict[str, ExtraFile] = {"split.csv": lambda contents: f"side,series\n{series}\n".encode()}
    generator = load_generator(folder / "model")
    ready = write_set(generator, tiny(), 10, 0, folder / "set", facts, extra_files=extra)
    publish_set(store, ready)
    commit_real_images(store, "tiny", ready.version, real_slices(ready))
    return name, "r1", ready.version


def _commit(store: Store, manifest_key: str, **fields: object) -> None:
    store.commit(manifest_key, {"page.html": b"real slices"}, fields)


def _boxes(store: Store, patients: list[str]) -> None:
    found, _ = newest_slices(store, dataset_named("folder"))
    boxes = tuple(
        TumourBox(patient, _sop(store, patient), 1, 2, 30, 40, "A", "voc")
        for patient in sorted(found)
        if patient in patients
    )
    series = {f"2.25.1{number}": box.patient for number, box in enumerate(boxes)}
    annotations = Annotations(boxes, {}, tuple(series), patient_of=series)
    store.commit(
        keys.annotations_manifest("folder", "b1"),
        {"b1.parquet": write_parquet(table_of(annotations), compression="zstd")},
        {"kind": "tumour-annotations", "dataset": "folder", "boxes": len(boxes), "defects": {}},
    )
    store.update_pointer(keys.annotations_latest("folder"), {"version": "b1"})


def _sop(store: Store, patient: str) -> str:
    return sorted(_column(store, keys.slices_prefix("folder", patient), "sop_uid"))[0]


def _column(store: Store, prefix: str, column: str) -> set[str]:
    found: set[str] = set()
    for item in store.list(prefix):
        if item.key.endswith(".parquet"):
            found.update(pq.read_table(io.BytesIO(store.get_bytes(item.key))).column(column).to_pylist())
    return found


def _names(store: Store, patient: str) -> set[str]:
    found = {patient, *(row.key for row in read_catalog(store, "folder").of(patient))}
    prefixes = (keys.slices_prefix("folder", patient), keys.raw_prefix("folder", patient))
    found |= _column(store, prefixes[0], "sop_uid")
    for prefix in prefixes:
        for item in store.list(prefix):
            if item.key.endswith(".json") and not item.key.endswith(keys.POINTER):
                found.update(one["sha256"] for one in json.loads(store.get_bytes(item.key))["objects"])
    return found


def texts(store: Store) -> Iterator[tuple[str, bytes]]:
    """Every object of the store, with its key and what a reader gets out of it: tables and archives are opened."""
    for item in store.list():
        data = store.get_bytes(item.key)
        if item.key.endswith(".parquet") and data[:4] == b"PAR1":
            data = json.dumps(pq.read_table(io.BytesIO(data)).to_pylist(), default=str).encode()
        elif item.key.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                data = b"".join(archive.read(name) for name in archive.namelist())
        yield item.key, item.key.encode() + b"\n" + data


def found_in(store: Store, names: set[str]) -> set[str]:
    """Keys of the objects that have one of these names in their key or content."""
    wanted = [name.encode() for name in names]
    return {key for key, text in texts(store) if any(name in text for name in wanted)}
