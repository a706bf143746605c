"""What a load of the code location does not do: ask the store, and read again what it has validated before."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chestgan_core.store import keys
from chestgan_core.tuning.tuned import publish_tuned
from tests.pipeline.test_tuned_steps import found
from tests.standins.s3 import BUCKET, BadS3

ROOT = Path(__file__).parent.parent.parent
LOADED = (
    "import sys; from chestgan_assets.definitions import defs; defs.get_repository_def(); "
    "from chestgan_assets.partitions import EXPERIMENTS, experiments; "
    "from chestgan_assets.load_faults import load_faults; "
)
VALIDATING = (
    "chestgan_core.config.yaml_text",
    "chestgan_core.config.experiment",
    "chestgan_core.config.dataset",
)
STORE = ("chestgan_core.store.store", "botocore")
TUNED = f"GET /{BUCKET}/p/{keys.tuned_experiments()}"


def loaded(code: str, home: Path, **variables: str) -> str:
    """The code location in a fresh process, and then some code; what it prints."""
    ran = subprocess.run(
        [sys.executable, "-c", LOADED + code],
        env={"PATH": os.environ["PATH"], "CHESTGAN_HOME": str(home), **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


@pytest.fixture
def s3() -> Iterator[BadS3]:
    """A store in which a study has put small-tuned."""
    with BadS3() as running:
        publish_tuned(running.store(), found("small-tuned"))
        running.requests.clear()
        yield running


def settings(s3: BadS3) -> dict[str, str]:
    return {
        "CHESTGAN_STORE": f"s3://{BUCKET}/p",
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def test_the_second_load_reads_none_of_200_files_and_still_names_the_broken_one(tmp_path: Path) -> None:
    own = tmp_path / "experiments"
    own.mkdir()
    for number in range(200):
        (own / f"own-{number}.yaml").write_text(
            f"dataset: phantom\nseed: {number}\ntraining: {{images: 10}}\n"
        )
    code = f"print(len(EXPERIMENTS), [name for name in {VALIDATING + STORE} if name in sys.modules], load_faults())"
    variables = {"CHESTGAN_EXPERIMENTS": str(own)}
    first = loaded(code, tmp_path / "home", **variables)
    assert first.split()[0] == loaded(code, tmp_path / "home", **variables).split()[0]
    assert VALIDATING[0] in first
    assert loaded(code, tmp_path / "home", **variables).endswith(" [] ()")

    (own / "own-7.yaml").write_text("dataset: phantom\nsed: 1\n")
    for _ in range(2):
        said = loaded(code, tmp_path / "home", **variables)
        assert int(said.split()[0]) == int(first.split()[0]) - 1
        assert "own-7.yaml" in said
        assert "sed: is not a field here" in said


@pytest.mark.parametrize(
    "variables",
    [
        {},  # a code server, a run worker, a step on this machine
        {"CHESTGAN_EXECUTOR": "k8s", "DAGSTER_RUN_JOB_NAME": "__ASSET_JOB", "DAGSTER_RUN_STEP_KEY": "raw_dicom",
         "CHESTGAN_STEP_PARTITION": "phantom:patient-tuned"},
        {"CHESTGAN_EXECUTOR": "k8s", "DAGSTER_RUN_JOB_NAME": "__ASSET_JOB",
         "DAGSTER_RUN_STEP_KEY": "generator_checkpoint", "CHESTGAN_STEP_PARTITION": "demo"},
    ],
    ids=["no pod", "the pod of a patient", "the pod of a shipped experiment"],
)  # fmt: skip
def test_a_load_sends_no_request(variables: dict[str, str], s3: BadS3, tmp_path: Path) -> None:
    code = f"print([name for name in {STORE} if name in sys.modules], 'small-tuned' in EXPERIMENTS)"
    assert loaded(code, tmp_path, **settings(s3), **variables) == "[] False"
    assert s3.requests == []


def test_the_pod_of_a_tuned_experiment_asks_once_and_has_its_partition(s3: BadS3, tmp_path: Path) -> None:
    pod = {
        **settings(s3),
        "CHESTGAN_EXECUTOR": "k8s",
        "DAGSTER_RUN_STEP_KEY": "generator_checkpoint",
        "CHESTGAN_STEP_PARTITION": "small-tuned",
    }
    code = "print(experiments.has_partition_key('small-tuned'), load_faults(), 'dagster_k8s' in sys.modules)"
    assert loaded(code, tmp_path, **pod) == "True () False"
    assert s3.requests == [TUNED]
    # The files of the home are enough from now on.
    assert loaded(code, tmp_path, **pod) == "True () False"
    assert s3.requests == [TUNED]


def test_a_pod_that_executes_a_whole_run_asks_once(s3: BadS3, tmp_path: Path) -> None:
    pod = {**settings(s3), "CHESTGAN_EXECUTOR": "multiprocess", "DAGSTER_RUN_JOB_NAME": "synthetic_set_job"}
    assert loaded("print(experiments.has_partition_key('small-tuned'))", tmp_path, **pod) == "True"
    assert s3.requests == [TUNED]


def test_a_store_that_is_down_is_named_and_the_pod_loads(tmp_path: Path, s3: BadS3) -> None:
    pod = {
        **settings(s3),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "CHESTGAN_EXECUTOR": "multiprocess",
        "DAGSTER_RUN_JOB_NAME": "synthetic_set_job",
    }
    said = loaded("print('demo' in EXPERIMENTS, *load_faults())", tmp_path, **pod)
    assert said.startswith("True ")
    assert "tuned experiments are those of this home" in said
