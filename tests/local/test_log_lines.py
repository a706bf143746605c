"""Standard error as JSON: each line an object, whoever writes it and however; people at a terminal keep their lines."""

import io
import json
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.cli.main import main
from chestgan_core.local.log_lines import JsonLines, as_json_lines
from chestgan_core.local.progress import Progress


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
    told = [json.loads(line) for line in written.split("\n")[:-1]]
    assert [one.get("message") for one in told if "time" in one] == [
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
    lines.where = {"run": "1", "step": "raw_dicom", "partition": "folder:a"}
    print('{"level": "WARNING", "message": "of a server"}', file=lines)
    print("Traceback\n  File x\nValueError: no", file=lines)
    passed, told = objects(out)
    assert passed == {"level": "WARNING", "message": "of a server"}
    assert told["message"] == "Traceback\n  File x\nValueError: no"
    assert (told["run"], told["step"], told["partition"]) == ("1", "raw_dicom", "folder:a")


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


def test_progress_writes_objects_and_no_line_that_rewrites_itself() -> None:
    out = io.StringIO()
    with Progress("archive", 3, "series", JsonLines(out)) as progress:
        for _ in range(3):
            progress.step()
    assert [one["message"].split("  ")[:2] for one in objects(out)] == [["archive", "3/3 series"]]


def test_a_command_says_all_it_says_as_objects_and_its_answer_as_before() -> None:
    """In a process of its own, as a person or a pod runs it."""
    arguments = ["normalize", "/nowhere", "--out", "x"]
    code = f"import sys; from chestgan_core.cli.main import main; sys.exit(main({arguments}))"
    ran = subprocess.run(
        [sys.executable, "-c", code], env={"CHESTGAN_LOG": "json"}, capture_output=True, text=True
    )
    assert ran.returncode == 1
    told = [json.loads(line) for line in ran.stderr.splitlines()]
    assert told[-1]["level"] == "ERROR"
    assert told[-1]["message"].startswith("chestgan: /nowhere: ")


def test_another_value_is_refused_and_none_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stderr
    monkeypatch.delenv("CHESTGAN_LOG", raising=False)
    assert as_json_lines() is None
    assert sys.stderr is before
    monkeypatch.setenv("CHESTGAN_LOG", "xml")
    assert main(["doctor"]) == 2
    assert "chestgan: CHESTGAN_LOG: is 'xml'; set it to json, or not at all" in capsys.readouterr().err
