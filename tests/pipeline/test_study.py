"""The study as an asset: several workers side by side on a real Dagster instance, and what a person then selects."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import optuna
import pytest
import yaml

from chestgan_assets.definitions import defs
from chestgan_assets.execution.executor import study_pool
from chestgan_assets.execution.usage import CPU_HOURS
from chestgan_assets.local.installation import dagster_home
from chestgan_core.config.experiment import load_experiment
from chestgan_core.slices.patient_slices import normalize_patient
from chestgan_core.slices.training_set import build_training_set
from chestgan_core.sources.archive.raw_archive import archive_patient
from chestgan_core.sources.catalog.stored_catalog import catalog_series
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.training.run import newest_run, train_experiment
from chestgan_core.tuning.storage import study_storage
from chestgan_core.tuning.stored_study import latest_study
from chestgan_core.tuning.study import USAGE, find_study

ROOT = Path(__file__).parent.parent.parent

TINY = """
description: The smallest experiment that can be tuned.
dataset: phantom
resolution: 16
network: {family: spectral, generator_width: 4, discriminator_width: 4, latent_dim: 8}
training: {loss: {kind: hinge}, batch_size: 8, images: 640, validation: {every_images: 200, images: 8}}
evaluation: {images: 24, others: []}
publication: {images: 6}
"""
SPACE = """
parameters:
  training.optimizer.lr: {kind: number, low: 1.0e-4, high: 1.0e-2, log: true}
  network.generator_width: {kind: integer, low: 2, high: 6}
"""


@pytest.fixture
def environment(
    store: Store,
    embedded: EmbeddedStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    small_phantoms: None,
) -> dict[str, str]:
    """An installation with the training set of the phantoms in its store, `tiny` and a space of its own."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "tiny.yaml").write_text(TINY)
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "few.yaml").write_text(SPACE)
    variables = {
        **embedded.environment,
        "CHESTGAN_STORE": store.uri(),
        "CHESTGAN_HOME": str(tmp_path / "home"),
        "CHESTGAN_EXPERIMENTS": str(tmp_path / "own"),
        "CHESTGAN_SPACES": str(tmp_path / "spaces"),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "OMP_NUM_THREADS": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home()))
    catalog, _ = catalog_series(store, "phantom", tmp_path / "home")
    for patient in catalog.patients:
        archive_patient(store, "phantom", patient, tmp_path / "home")
        normalize_patient(store, "phantom", patient, tmp_path / "home")
    build_training_set(store, "phantom")
    return dict(os.environ)


def execute(
    environment: dict[str, str], tmp_path: Path, job: str, partition: str, config: Any = None
) -> None:
    """A job as a launcher starts it: in a process of its own, each step in another."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config or {}))
    command = [
        str(Path(sys.executable).with_name("dagster")), "job", "execute", "-m", "chestgan_assets.definitions",
        "-j", job, "-c", str(path), "--tags", json.dumps({"dagster/partition": partition}),
    ]  # fmt: skip
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-6000:]


def test_the_job_runs_with_what_a_sensor_gives_it_a_partition_and_nothing_else() -> None:
    validated = dg.validate_run_config(defs.resolve_job_def("hyperparameter_study_job"), {})
    assert validated is not None
    for step in ("open_study", "run_trials"):
        config = validated["ops"][f"hyperparameter_study.{step}"]["config"]
        assert (config["trials"], config["space"]) == (20, "modern")


@pytest.mark.parametrize(("executor", "pool"), [("k8s", "gpu"), ("multiprocess", None)])
def test_trials_wait_for_each_other_only_where_there_is_a_gpu_to_wait_for(
    executor: str, pool: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if executor != "k8s" and (Path("/dev/nvidiactl").exists() or sys.platform == "darwin"):
        pool = "gpu"
    monkeypatch.setenv("CHESTGAN_EXECUTOR", executor)
    assert study_pool() == pool


@pytest.mark.slow
def test_trials_run_side_by_side_and_the_best_is_an_experiment_after_a_reload(
    environment: dict[str, str], store: Store, tmp_path: Path
) -> None:
    config = {"trials": 4, "workers": 2, "images": 320, "validations": 2, "space": "few"}
    execute(
        environment,
        tmp_path,
        "hyperparameter_study_job",
        "tiny",
        {"ops": {"hyperparameter_study": {"config": config}}},
    )

    study = find_study(study_storage(tmp_path / "home"), "tiny").optuna
    ended = [trial for trial in study.trials if trial.state is not optuna.trial.TrialState.FAIL]
    assert len(ended) == 4
    spans = [(trial.datetime_start, trial.datetime_complete) for trial in ended]
    assert any(a[0] < b[0] < a[1] for a in spans for b in spans if a is not b)  # type: ignore[operator]

    stored = latest_study(store, "tiny")
    assert stored.manifest.trials == 4
    assert stored.manifest.best is not None
    assert stored.manifest.best.kid == min(trial.value for trial in ended if trial.state.name == "COMPLETE")
    assert {"history.png", "learning.png", "parallel.png"} <= stored.figures.keys()
    with dg.DagsterInstance.get() as instance:
        observed = instance.fetch_observations(dg.AssetKey("hyperparameter_study"), limit=10).records
        event = instance.get_latest_materialization_event(dg.AssetKey("hyperparameter_study"))
    observations = [record.asset_observation for record in observed]
    assert sorted(one.metadata["trial"].value for one in observations if one) == [0, 1, 2, 3]
    assert event is not None
    materialized = event.asset_materialization
    assert materialized is not None
    assert materialized.partition == "tiny"
    assert materialized.tags is not None
    assert materialized.tags["dagster/data_version"] == stored.version
    assert str(materialized.metadata["history"].value).startswith("![score of each trial](data:image/")
    assert materialized.metadata["trials"].value == 4
    by_step = {name: used["cpu_hours"] for name, used in study.user_attrs.items() if name.startswith(USAGE)}
    assert len(by_step) == 3  # the one that opened it and two workers
    assert float(str(materialized.metadata[CPU_HOURS].value)) > sum(by_step.values()) > 0

    # The next load of the pipeline on this machine has it.
    code = "from chestgan_assets.partitions import experiments as e; print('tiny-tuned' in e.get_partition_keys())"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert loaded.stdout.strip() == "True", loaded.stderr
    tuned = load_experiment("tiny-tuned")
    assert tuned.provenance is not None
    assert (tuned.provenance.experiment, tuned.provenance.trial) == ("tiny", stored.manifest.best.trial)
    assert tuned.provenance.kid == stored.manifest.best.kid
    assert tuned.provenance.training_set == stored.manifest.training_set
    assert tuned.training.images == 640

    # Where it came from goes with every run of it.
    train_experiment(store, tuned, "cpu", tmp_path / "train")
    _, run = newest_run(store, tuned)
    assert run.manifest["experiment"]["provenance"] == tuned.provenance.model_dump(mode="json")
