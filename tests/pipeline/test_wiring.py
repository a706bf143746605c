"""What the assets add to the core: which failures are tried again, which partitions there are, whose home is whose."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from chestgan_assets.execution.executor import RETRY, refusing_executor
from chestgan_assets.execution.failures import one_line_failures
from chestgan_assets.execution.interruptions import INTERRUPTED_LABEL
from chestgan_assets.local import orphaned_runs
from chestgan_assets.local.installation import dagster_home, private_temporary_folder, process_environment
from chestgan_assets.local.orphaned_runs import LAUNCHED, demo_lock, dev_lock, fail_orphaned_runs
from chestgan_assets.metadata import check, check_spec, refused_by_checks
from chestgan_core.errors import (
    BadInput,
    ChestganError,
    PointerMoved,
    SourceRefused,
    SourceUnreachable,
    StoreError,
    StoreUnreachable,
)
from tests.standins.ports import free_port

ROOT = Path(__file__).parent.parent.parent


@dg.op
def nothing() -> None: ...


@dg.job(executor_def=refusing_executor(BadInput("CHESTGAN_EXECUTOR", "is 'pods'", "unset it")))
def refused_job() -> None:
    nothing()


@pytest.mark.parametrize(
    ("error", "tried_again"),
    [
        (StoreUnreachable("s3://b/k", "does not answer", "start it"), True),
        (PointerMoved("s3://b/k", "moved", "again"), True),
        (SourceUnreachable("series 2.25.1", "the server is overloaded", "wait"), False),
        (SourceRefused("series 2.25.1", "is not there", "make the catalog again"), False),
        (StoreError("s3://b/k", "the store refused the key", "check it"), False),
        (BadInput("folder", "is empty", "fill it"), False),
        (RuntimeError("CUDA out of memory"), False),
    ],
)
def test_only_transient_errors_are_retried(error: Exception, tried_again: bool) -> None:
    with pytest.raises(dg.Failure) as failed, one_line_failures():
        raise error
    assert failed.value.allow_retries is tried_again
    assert failed.value.description is not None
    assert "\n" not in failed.value.description
    if isinstance(error, ChestganError):
        assert failed.value.description == str(error)


@pytest.mark.parametrize("signal", [dg.DagsterExecutionInterruptedError(), KeyboardInterrupt()])
def test_a_canceled_step_says_so_and_announces_no_retry(signal: BaseException) -> None:
    @dg.asset(retry_policy=RETRY)
    def training() -> None:
        with one_line_failures():
            raise signal

    result = dg.materialize([training], raise_on_error=False)
    assert not any(event.is_step_up_for_retry for event in result.all_events)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data
    assert said is not None
    assert str(said.description).startswith("Canceled, or its process was ended.")
    assert INTERRUPTED_LABEL in said.metadata


def test_a_failure_keeps_its_sentence() -> None:
    with pytest.raises(dg.Failure) as failed, one_line_failures():
        raise dg.Failure("Refused: KID is too high.", allow_retries=False)
    assert failed.value.description == "Refused: KID is too high."


def test_a_permanent_failure_is_a_sentence_without_a_stack_trace() -> None:
    @dg.asset(retry_policy=RETRY, check_specs=[check_spec("distance", "report", "KID is low.")])
    def report() -> Iterator[dg.MaterializeResult[None]]:
        refused = check("distance", False, "KID is 841, at most 600 is allowed.")
        yield from refused_by_checks(dg.MaterializeResult(check_results=[refused]))

    @dg.asset
    def catalog() -> None:
        with one_line_failures():
            raise BadInput("folder", "is empty", "fill it")

    for asset, sentence in (
        (report, "Refused: KID is 841, at most 600 is allowed."),
        (catalog, "folder: is empty; fill it"),
    ):
        result = dg.materialize([asset], raise_on_error=False)
        assert not any(event.is_step_up_for_retry for event in result.all_events)
        (failure,) = [event for event in result.all_events if event.is_step_failure]
        error = failure.step_failure_data.error
        assert error is not None
        assert error.to_string().split("Stack Trace")[0].strip() == sentence
        assert not error.stack
        assert error.cause is None
        assert failure.step_failure_data.user_failure_data is not None
        assert failure.step_failure_data.user_failure_data.description == sentence


def test_what_an_error_came_from_stays_out_of_the_history_as_it_may_name_a_patient() -> None:
    @dg.asset
    def archive() -> None:
        with one_line_failures():
            try:
                Path("/nowhere/Mustermann_Erika/IM1").read_bytes()
            except OSError as error:
                raise BadInput(
                    "series 2.25.1", "cannot be read any more", "make the catalog again"
                ) from error

    result = dg.materialize([archive], raise_on_error=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "series 2.25.1" in str(failure.step_failure_data)
    assert "Mustermann" not in str(failure.step_failure_data)


def test_a_bug_is_reported_by_its_place_in_the_code_and_not_by_its_message() -> None:
    with pytest.raises(dg.Failure) as failed, one_line_failures():
        Path("/nowhere/Mustermann_Erika/IM1").read_bytes()
    description = str(failed.value.description)
    assert "FileNotFoundError in pathlib.py" in description
    assert "Mustermann" not in description
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__


def started_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, *, launched: bool) -> str:
    tags = {LAUNCHED: "{}"} if launched else {}
    run = dg.DagsterRun(job_name="patient_slices_job", status=status, tags=tags)
    return instance.add_run(run).run_id


def test_runs_of_a_killed_process_fail_and_those_being_canceled_are_canceled(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        started = started_run(instance, dg.DagsterRunStatus.STARTED, launched=True)
        canceling = started_run(instance, dg.DagsterRunStatus.CANCELING, launched=True)
        waiting = started_run(instance, dg.DagsterRunStatus.NOT_STARTED, launched=True)
        assert fail_orphaned_runs(instance, tmp_path) == 2
        ended = {run.run_id: run.status for run in instance.get_runs()}
    assert ended[started] is dg.DagsterRunStatus.FAILURE
    assert ended[canceling] is dg.DagsterRunStatus.CANCELED
    assert ended[waiting] is dg.DagsterRunStatus.NOT_STARTED


def test_runs_of_a_running_demo_are_not_orphans(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance, demo_lock(tmp_path):
        started_run(instance, dg.DagsterRunStatus.STARTED, launched=False)
        assert fail_orphaned_runs(instance, tmp_path) == 0


def test_servers_that_outlive_a_killed_make_dev_keep_its_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dev_lock(tmp_path) as lock:
        server = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
        with pytest.raises(BadInput, match="is in use by another `make dev`"), dev_lock(tmp_path):
            pass
    monkeypatch.setattr(orphaned_runs, "SERVERS_END", 0.1)
    killed = r"servers of a `make dev` that was killed; .*dagster-daemon"
    with pytest.raises(BadInput, match=killed), dev_lock(tmp_path):
        pass
    monkeypatch.setattr(orphaned_runs, "SERVERS_END", 60)
    end = threading.Timer(1, lambda: server.communicate(b"\n"))
    end.start()
    with dev_lock(tmp_path):  # waits for them
        assert server.wait(10) == 0
    end.join()


def test_temporary_files_of_a_killed_process_are_removed_and_a_foreign_folder_is_not(tmp_path: Path) -> None:
    with private_temporary_folder(tmp_path) as killed:
        (killed / "socket").write_text("left")
        assert killed.stat().st_mode & 0o077 == 0
        left = (tmp_path / "temporary-folder").readlink()
        kept = killed.with_name(f"{killed.name}-killed")
        killed.rename(kept)
    assert not left.exists()
    foreign = tmp_path / "precious"
    foreign.mkdir()
    for target, stays in ((kept, False), (foreign, True)):
        (tmp_path / "temporary-folder").symlink_to(target)
        with private_temporary_folder(tmp_path) as folder:
            assert folder.exists()
            assert target.exists() is stays
        assert not folder.exists()


def test_a_home_of_somebody_else_keeps_its_dagster_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "dagster.yaml").write_text("telemetry: {enabled: false}\n# ours\n")
    monkeypatch.setenv("DAGSTER_HOME", str(theirs))
    assert dagster_home() == theirs
    assert "# ours" in (theirs / "dagster.yaml").read_text()


def test_the_environment_of_the_process_is_as_before_after_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/theirs")
    monkeypatch.delenv("CHESTGAN_STORE", raising=False)
    with process_environment({"DAGSTER_HOME": "/ours", "CHESTGAN_STORE": "s3://ours"}):
        assert os.environ["DAGSTER_HOME"] == "/ours"
        os.environ["LEFT_BY_OTHERS"] = "stays"
    assert os.environ["DAGSTER_HOME"] == "/theirs"
    assert "CHESTGAN_STORE" not in os.environ
    assert os.environ.pop("LEFT_BY_OTHERS") == "stays"


EXPERIMENT = "dataset: phantom\ntraining: {images: 10}\n"
LOADED = (
    "from chestgan_assets.definitions import defs; from chestgan_assets.partitions import *; "
    "from chestgan_assets.load_faults import load_faults; "
)


def loaded(code: str, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The code location in a fresh process, and then some code."""
    return subprocess.run(
        [sys.executable, "-c", LOADED + code],
        env={"CHESTGAN_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )


def test_files_that_cannot_be_used_are_left_out_and_named_and_everything_else_loads(tmp_path: Path) -> None:
    experiments, datasets = tmp_path / "experiments", tmp_path / "datasets"
    experiments.mkdir()
    datasets.mkdir()
    (experiments / "unknown-dataset.yaml").write_text("dataset: nowhere\n")
    (experiments / "no-yaml.yaml").write_text("dataset: [\n")
    (experiments / "no-date.yaml").write_text(EXPERIMENT + "seed: 2026-99-99\n")
    (experiments / "not-utf-8.yaml").write_bytes(b"\xff\xfe")
    (experiments / "no...key.yaml").write_text(EXPERIMENT)
    (experiments / "a-folder.yaml").mkdir()
    (experiments / "fine.yaml").write_text(EXPERIMENT)
    (datasets / "no-fields.yaml").write_text("a: [")
    ran = loaded(
        "print(sorted(EXPERIMENTS)); print(sorted(DATASETS)); defs.get_repository_def(); "
        "print(*load_faults(), sep=chr(10))",
        tmp_path,
        CHESTGAN_EXPERIMENTS=str(experiments),
        CHESTGAN_DATASETS=str(datasets),
    )
    names, known, *said = ran.stdout.splitlines()
    assert "'demo'" in names
    assert "'fine'" in names
    assert "phantom" in known
    bad = ["unknown-dataset", "no-yaml", "no-date", "not-utf-8", "no...key", "a-folder", "no-fields"]
    assert len(said) == len(bad)
    for name in bad:
        assert f"'{name}'" not in names + known
        assert sum(f"{name}.yaml" in line for line in said) == 1
        assert f"{name}.yaml" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CHESTGAN_DATASETS": "/nowhere"}, "/nowhere is not a folder"),
        ({"CHESTGAN_EXPERIMENTS": "/nowhere"}, "/nowhere is not a folder"),
        ({"CHESTGAN_EXECUTOR": "pods"}, "'pods' is not a valid value"),
        ({"CHESTGAN_LOG": "xml"}, "'xml' is not a valid value"),
        ({"CHESTGAN_EXECUTOR": "k8s", "CHESTGAN_POD_PROFILES": "/nowhere"}, "/nowhere is not a file"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_named_and_the_code_location_loads(
    variables: dict[str, str], said: str, tmp_path: Path
) -> None:
    if variables.get("CHESTGAN_EXECUTOR") == "k8s":
        pytest.importorskip("dagster_k8s")
    ran = loaded("print('demo' in EXPERIMENTS, 'phantom' in DATASETS, *load_faults())", tmp_path, **variables)
    assert ran.stdout.startswith("True True")
    assert said in ran.stdout
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_executor_that_cannot_be_used_fails_the_run_with_the_reason() -> None:
    with dg.instance_for_test() as instance, pytest.raises(BadInput, match="is 'pods'; unset it"):
        dg.execute_job(dg.reconstructable(refused_job), instance=instance)


@pytest.mark.parametrize("variable", ["CHESTGAN_PORT", "CHESTGAN_PORTAL_PORT"])
@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("abc", "is not a whole number from 1 to 65535"),
        ("0", "is not a whole number"),
        ("taken", "is in use; try {variable}="),
        ("other", "CHESTGAN_PORTAL_PORT: is the port of the UI, too"),
    ],
)
def test_an_unusable_port_is_reported_before_anything_starts(
    variable: str, port: str, said: str, tmp_path: Path
) -> None:
    ports = {"CHESTGAN_PORT": str(free_port()), "CHESTGAN_PORTAL_PORT": str(free_port())}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (other,) = set(ports) - {variable}
        value = {"taken": str(taken.getsockname()[1]), "other": ports[other]}.get(port, port)
        ran = subprocess.run(
            [sys.executable, "-m", "chestgan_assets.local.dev"],
            env={**ports, variable: value, "CHESTGAN_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ran.returncode == 2
    assert said.format(variable=variable) in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "home").exists()


def test_two_modules_take_everything_that_dagster_does_not_publish() -> None:
    private = re.compile(r"^\s*(from|import) dagster\w*\._", re.MULTILINE)
    found = [
        path.name for path in (ROOT / "chestgan_assets").rglob("*.py") if private.search(path.read_text())
    ]
    assert sorted(found) == ["dagster_internals.py", "dagster_pod_internals.py"]
