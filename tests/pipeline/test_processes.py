"""Which steps get a process of their own on one machine, seen by what steps write down of themselves."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from chestgan_assets.definitions import defs
from chestgan_assets.execution.processes import ISOLATED, StepProcesses, is_isolated

ROOT = Path(__file__).parent.parent.parent

# Two of the steps that are alone, and two that are not. The first is killed once, as by a kernel short of memory.
CODE = """
import json, os, signal, sys
from pathlib import Path
import dagster as dg
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.processes import step_processes

def note(name):
    Path(name).write_text(json.dumps({"pid": os.getpid(), "torch": "torch" in sys.modules}))

@dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
def generator_checkpoint():
    if not Path("killed").exists():
        Path("killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    note("generator_checkpoint")

@dg.asset(deps=[generator_checkpoint])
def metric_report():
    note("metric_report")

@dg.asset
def series_catalog():
    with one_line_failures():
        signal.raise_signal(signal.SIGINT)  # what Dagster makes of SIGTERM

@dg.asset
def raw_dicom():
    note("raw_dicom")

@dg.asset(deps=[raw_dicom])
def slice_tensors():
    note("slice_tensors")

defs = dg.Definitions(
    assets=[generator_checkpoint, metric_report, series_catalog, raw_dicom, slice_tensors],
    jobs=[dg.define_asset_job("catalog", [series_catalog]),
          dg.define_asset_job("patient", [raw_dicom, slice_tensors]),
          dg.define_asset_job("set", [generator_checkpoint, metric_report])],
    executor=step_processes.configured({"max_concurrent": 2}),
)
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "small_pipeline.py").write_text(CODE)
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return tmp_path


def execute(notes: Path, job: str) -> subprocess.CompletedProcess[str]:
    """Run a job as a launcher does."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("dagster")), "job", "execute", "-f", "small_pipeline.py", "-j", job],
        cwd=notes, capture_output=True, text=True,
        env={**os.environ, "DAGSTER_HOME": str(notes), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def ran(notes: Path, job: str, *steps: str) -> list[dict[str, Any]]:
    """Run a job; what its steps wrote down."""
    result = execute(notes, job)
    assert result.returncode == 0, result.stderr[-4000:]
    return [json.loads((notes / step).read_text()) for step in steps]


def test_steps_without_torch_share_the_process_of_their_run(notes: Path) -> None:
    raw, slices = ran(notes, "patient", "raw_dicom", "slice_tensors")
    assert raw["pid"] == slices["pid"]
    assert not raw["torch"]


@pytest.mark.skipif(sys.platform != "linux", reason="forked on Linux only")
def test_steps_that_import_torch_are_forked_with_it_and_a_killed_one_is_tried_again(notes: Path) -> None:
    training, report = ran(notes, "set", "generator_checkpoint", "metric_report")
    assert (notes / "killed").exists()
    assert training["pid"] != report["pid"]
    assert training["torch"]
    assert report["torch"]


def test_a_signal_ends_the_run_and_is_no_failed_step_which_nobody_would_retry(notes: Path) -> None:
    assert execute(notes, "catalog").returncode != 0
    with dg.DagsterInstance.from_config(str(notes)) as instance:
        (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert run.tags["dagster/failure_reason"] == "UNEXPECTED_TERMINATION"


def test_the_isolated_steps_are_steps_of_the_pipeline() -> None:
    assert {key.to_user_string() for key in defs.resolve_all_asset_keys()} >= ISOLATED
    assert is_isolated("hyperparameter_study.run_trials[worker_0]")
    assert not is_isolated("synthetic_set_index")


def test_a_canceled_run_ends_with_a_sentence_instead_of_a_stack_trace() -> None:
    class Canceled:
        def execute(self, *_: object) -> Iterator[dg.DagsterEvent]:
            raise dg.DagsterExecutionInterruptedError
            yield

    executor = StepProcesses(Canceled(), Canceled())  # type: ignore[arg-type]
    plan = SimpleNamespace(step_keys_to_execute=["raw_dicom"])
    with pytest.raises(dg.DagsterExecutionInterruptedError) as ended:
        list(executor.execute(None, plan))  # type: ignore[arg-type]
    (info,) = ended.value.user_code_process_error_infos  # type: ignore[attr-defined]
    assert info.message.strip() == "The run was canceled, or its process was ended."
    assert not info.stack
