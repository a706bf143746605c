"""Standard error as JSON: each line an object, whoever writes it and however; people at a terminal keep their lines."""

import io
import json
import logging
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.cli.main import main
from chestgan_core.local.log_lines import JsonLines, StandardError, configure_logging


def objects(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


@given(texts=st.lists(st.text(), max_size=5))
def test_whatever_is_printed_is_one_object_a_print(texts: list[str]) -> None:
    out = io.StringIO()
    lines = JsonLines(out)
    for text in texts:
        print(text, file=lines)
    written = out.getvalue()
    assert "\r" not in written
    objects_read = [json.loads(line) for line in written.split("\n")[:-1]]
    assert [one.get("message") for one in objects_read if "time" in one] == [
        text.rstrip() for text in texts if text.strip() and not _passes(text)
    ]


def _passes(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def test_an_object_passes_and_a_traceback_stays_together() -> None:
    out = io.StringIO()
    lines = JsonLines(out)
    lines.context = {"run": "1", "step": "raw_dicom", "partition": "folder:a"}
    print('{"level": "WARNING", "message": "of a server"}', file=lines)
    print("Traceback\n  File x\nValueError: no", file=lines)
    passed, logged = objects(out)
    assert passed == {"level": "WARNING", "message": "of a server"}
    assert logged["message"] == "Traceback\n  File x\nValueError: no"
    assert (logged["run"], logged["step"], logged["partition"]) == ("1", "raw_dicom", "folder:a")


def test_threads_do_not_break_each_others_lines() -> None:
    out = io.StringIO()
    lines = JsonLines(out)
    threads = [
        threading.Thread(target=lambda k=k: [print(f"{k} {n}", file=lines) for n in range(200)])
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one["message"] for one in objects(out)} == {f"{k} {n}" for k in range(4) for n in range(200)}


def test_a_command_says_all_it_says_as_objects_and_its_answer_as_before() -> None:
    """In a process of its own, as a person or a pod runs it."""
    arguments = ["normalize", "/nowhere", "--out", "x"]
    code = f"import sys; from chestgan_core.cli.main import main; sys.exit(main({arguments}))"
    ran = subprocess.run(
        [sys.executable, "-c", code], env={"CHESTGAN_LOG": "json"}, capture_output=True, text=True
    )
    assert ran.returncode == 1
    logged = [json.loads(line) for line in ran.stderr.splitlines()]
    assert logged[-1]["level"] == "ERROR"
    assert logged[-1]["message"].startswith("chestgan: /nowhere: ")


def test_another_value_is_refused_and_none_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stderr
    monkeypatch.delenv("CHESTGAN_LOG", raising=False)
    assert configure_logging() is None
    assert sys.stderr is before
    monkeypatch.setenv("CHESTGAN_LOG", "xml")
    assert main(["doctor"]) == 2
    said = "chestgan: CHESTGAN_LOG: 'xml' is not a valid value; choose one of json\n"
    assert capsys.readouterr().err == said


SAY = """
import logging, sys, warnings
import chestgan_core
from chestgan_core.local.log_lines import configure_logging
from chestgan_core.local.progress import Progress
if sys.argv[1] == "configured":
    configure_logging()
    configure_logging()
with Progress("archive", 3, "series") as progress:
    for _ in range(3):
        progress.step()
logging.getLogger("chestgan_core.training.loop").info("resuming at 4,000 images")
logging.getLogger("pydicom").warning("nothing to act on")
logging.getLogger("other").warning("of a library")
own = logging.getLogger("dagster")
own.addHandler(logging.NullHandler())
own.warning("handled by Dagster")
"""


@pytest.mark.parametrize("json_lines", [False, True])
def test_messages_reach_standard_error_once_with_the_level_they_have(json_lines: bool) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SAY, "configured"],
        env={"CHESTGAN_LOG": "json"} if json_lines else {},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == ""
    said = [("INFO", "resuming at 4,000 images"), ("WARNING", "of a library")]
    first, *rest = ran.stderr.splitlines()
    if json_lines:
        assert json.loads(first)["message"].startswith("archive  3/3 series")
        assert [(one["level"], one["message"]) for one in map(json.loads, rest)] == said
    else:
        assert first.startswith("archive  3/3 series")
        assert rest == [message for _, message in said]


def test_a_library_user_who_configures_nothing_sees_no_message() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SAY, "quiet"], env={}, capture_output=True, text=True, check=True
    )
    assert "archive" not in ran.stderr + ran.stdout
    assert "resuming" not in ran.stderr + ran.stdout


def test_a_record_with_a_traceback_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", JsonLines(out))
    try:
        raise ValueError("no")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    StandardError().emit(record)
    [logged] = objects(out)
    assert logged["level"] == "ERROR"
    assert logged["message"].startswith("failed\nTraceback")
    assert logged["message"].endswith("ValueError: no")


def test_a_program_that_is_started_as_main_says_what_it_logs() -> None:
    code = (
        "import logging\n"
        "from chestgan_core.local.log_lines import configure_logging\n"
        "configure_logging()\n"
        "logging.getLogger(__name__).info('three runs were marked as failed')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == "three runs were marked as failed\n"
