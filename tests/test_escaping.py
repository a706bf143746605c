"""Text from strangers (paths, header values, keys, manifests) cannot act on a terminal, wherever it comes out."""

import io
import json
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.cli.main import main
from chestgan_core.errors import BadInput
from chestgan_core.escaping import csv_cell, escaped, escaped_json, escaped_lines
from chestgan_core.local.log_lines import LINES, JsonLines, StandardError
from chestgan_core.local.progress import Progress

# kind -> what a stranger writes, and what is shown of it.
KINDS = {
    "CSI": ("\x1b[31;2J", r"\x1b[31;2J"),
    "OSC": ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
    "C1": ("\x9b31m\x85", r"\x9b31m\x85"),
    "CR": ("fine\rforged", r"fine\rforged"),
    "LF": ("a\nchestgan: forged", r"a\nchestgan: forged"),
    "backspace": ("a\x08\x7f", r"a\x08\x7f"),
    "override": ("\u202egnp.exe", r"\u202egnp.exe"),
    "isolate": ("\u2067a\u2069", r"\u2067a\u2069"),
    "paragraph": ("a\u2029b", r"a\u2029b"),
    "no width": ("a\u200bb", r"a\u200bb"),
    "surrogate": ("a\udc80", r"a\udc80"),
    "tag": ("\U000e0041", r"\U000e0041"),
}
kinds = pytest.mark.parametrize(("hostile", "shown"), KINDS.values(), ids=list(KINDS))


@kinds
def test_what_acts_is_written_out(hostile: str, shown: str) -> None:
    assert escaped(hostile) == shown
    assert escaped(shown) == shown


def test_letters_of_all_scripts_and_blanks_stay() -> None:
    text = "Müller 道 ジェーン Ω é Ж \u00a0 5\u202fmm \\x1b"
    assert escaped(text) == escaped_lines(text) == escaped_json(text) == text


@given(text=st.text())
def test_one_line_of_what_is_printable_and_no_second_meaning(text: str) -> None:
    line = escaped(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in line)
    assert len(line.splitlines()) <= 1
    assert escaped(line) == line


@given(text=st.text(st.characters(), max_size=8))
def test_json_keeps_its_meaning(text: str) -> None:
    line = escaped_json(json.dumps({"message": text}, ensure_ascii=False))
    assert json.loads(line) == {"message": text}
    assert escaped(line) == line


@kinds
def test_an_error_is_one_line_whatever_the_path_is(hostile: str, shown: str) -> None:
    error = BadInput(Path("/data") / hostile, f"{hostile} is wrong", f"rename {hostile}")
    assert str(error) == f"/data/{shown}: {shown} is wrong; rename {shown}"
    assert str(type(error)(error.what, error.cause, error.remedy)) == str(error)


@kinds
def test_the_command_line_shows_a_hostile_path_as_one_line(
    hostile: str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", str(tmp_path / f"no {hostile}")]) == 1
    printed = capsys.readouterr().err
    assert f"no {shown}: there is no such file or folder" in printed
    assert printed.count("\n") == 1
    with pytest.raises(SystemExit):
        main(["audit", str(tmp_path), f"--{hostile}"])
    assert hostile not in capsys.readouterr().err


@kinds
def test_log_records_of_any_module_are_escaped(
    hostile: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    handler = StandardError()
    for name in ("chestgan_core.dicom", "__main__"):
        handler.handle(logging.makeLogRecord({"name": name, "msg": "read %s", "args": (hostile,)}))
    assert out.getvalue() == f"read {shown}\nread {shown}\n"
    out.truncate(0)
    handler.handle(logging.makeLogRecord({"name": "optuna", "msg": f"a {hostile}"}))
    assert not any(line.startswith("chestgan") for line in out.getvalue().splitlines())
    try:
        raise ValueError(hostile)
    except ValueError:
        handler.handle(
            logging.makeLogRecord({"name": "chestgan_core", "msg": "", "exc_info": sys.exc_info()})
        )
    written = out.getvalue().replace("\n", "")
    assert all(c.isprintable() for c in written.strip("\0"))


def test_lines_that_are_laid_out_stay_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    StandardError().handle(logging.makeLogRecord({"name": "chestgan_core", "msg": "a\n\tb\x1b", **LINES}))
    assert out.getvalue() == "a\n\tb\\x1b\n"


@kinds
def test_logs_in_json_hold_no_raw_control_characters(hostile: str, shown: str) -> None:
    out = io.StringIO()
    JsonLines(out).log("INFO", hostile)
    line = out.getvalue()
    assert line[:-1].isprintable()
    assert json.loads(line)["message"] == hostile


@kinds
def test_the_progress_line_is_one_line(hostile: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    with Progress(f"raw_dicom {hostile}", 1, "files") as progress:
        progress.step()
    assert f"raw_dicom {shown}  1/1 files" in out.getvalue()


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_begins_like_a_formula_gets_an_apostrophe(first: str) -> None:
    assert csv_cell(f"{first}1+1") == f"'{first}1+1"
    assert csv_cell("study 1") == "study 1"


def test_numbers_stay_numbers_in_a_table_and_what_is_unknown_is_empty() -> None:
    assert [csv_cell(value) for value in (-2, 0.5, None, True, False)] == [-2, 0.5, "", "yes", "no"]
    assert str(csv_cell(-0.0)) == "0.0"
