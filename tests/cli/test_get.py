"""`chestgan get`, `chestgan month` and `chestgan sets show`: what the pipeline names by an address, on this machine."""

import json
from pathlib import Path
from typing import Any

import pytest

from chestgan_core.cli.main import main
from chestgan_core.store import keys
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store

FILES = {"report.pdf": b"%PDF", "figures/a.png": b"a", "figures/b.png": b"b"}


@pytest.fixture
def report(embedded: EmbeddedStore, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the folder of a report in the store that commands find; the working directory is empty."""
    for name, value in {**embedded.environment, "CHESTGAN_STORE": store.uri()}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    key = keys.report_manifest("demo", "r1", "v1")
    store.commit(key, FILES, {"kind": "report"})
    store.update_pointer(keys.report_latest("demo"), {"run": "r1", "version": "v1"})
    return store.uri(key).rpartition("/")[0]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: object, status: int = 0) -> Any:
        assert main([*map(str, arguments), "--json"]) == status
        out = capsys.readouterr().out
        return json.loads(out) if out else None

    return run


def written(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.parametrize("end", ["", "/", "/manifest.json"])
def test_an_artefact_is_downloaded_with_all_its_files(end: str, report: str, run: Any) -> None:
    answer = run("get", report + end)
    assert written(Path("r1-v1")) == FILES
    assert sorted(answer["files"]) == [f"r1-v1/{name}" for name in sorted(FILES)]
    assert run("get", report, "--out", "r1-v1")["bytes"] == 6  # again: nothing is wrong with that


def test_a_file_is_named_as_its_manifest_names_it(
    report: str, store: Store, run: Any, tmp_path: Path
) -> None:
    assert run("get", f"{report}/report.pdf")["files"] == ["report.pdf"]
    run("get", f"{report}/figures/b.png", "--out", "picture.png")
    (item,) = (item for item in store.list("reports/") if item.key.endswith("figures/a.png"))
    run("get", store.uri(item.key), "--out", tmp_path)  # the key itself, into a folder
    assert written(Path()) == {"report.pdf": b"%PDF", "picture.png": b"b"}
    assert (tmp_path / "a.png").read_bytes() == b"a"
    run("get", f"{report}/figures", "--out", "figures")
    assert written(Path("figures")) == {"figures/a.png": b"a", "figures/b.png": b"b"}


def test_a_pointer_is_downloaded_as_it_is(report: str, store: Store, run: Any) -> None:
    run("get", store.uri(keys.report_latest("demo")))
    assert json.loads(Path("latest.json").read_text())["version"] == "v1"


def test_a_file_of_the_user_is_not_replaced(report: str, caplog: pytest.LogCaptureFixture) -> None:
    Path("report.pdf").write_text("mine")
    Path("r1-v1").mkdir()
    (Path("r1-v1") / "mine.txt").write_text("mine")
    for address in (f"{report}/report.pdf", report):
        assert main(["get", address]) == 1
    assert "report.pdf: is there, and is another file; give --out" in caplog.text
    assert "r1-v1: holds files that are not of files of" in caplog.text
    assert written(Path()) == {"report.pdf": b"mine", "r1-v1/mine.txt": b"mine"}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("{report}/nothing.pdf", "has no object nothing.pdf; choose one of"),
        ("{report}/report.pd", "did you mean report.pdf?"),
        ("{store}/reports/other", "is not in the store; give the address"),
        ("{store}", "names a whole store"),
        ("https://example.org/x", "is not the address of an object; use s3://bucket/key"),
        ("report.pdf", "is not the address of an object"),
        ("s3://", "is not the address of an object"),
    ],
)
def test_what_is_not_there_is_one_line(
    address: str, said: str, report: str, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["get", address.format(report=report, store=store.uri())]) == 1
    assert said in caplog.records[-1].getMessage()
    assert written(Path()) == {}


def test_slices_are_those_of_a_training_set(
    report: str, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    for address in (report, f"{store.uri()}/training-sets/phantom/0123456789abcdef"):
        assert main(["get", address, "--slices"]) == 1
    first, second = (record.getMessage() for record in caplog.records)
    assert "is not the address of a training set; give the address of a training set" in first
    assert "is not in the store" in second
    assert written(Path()) == {}


def test_what_is_damaged_is_not_kept(report: str, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    (item,) = (item for item in store.list("reports/") if item.key.endswith("report.pdf"))
    store.put_bytes(b"other", item.key)
    assert main(["get", f"{report}/report.pdf"]) == 1
    assert "the object is damaged" in caplog.text
    assert list(Path().iterdir()) == []


def test_a_month_is_printed_and_written(report: str, run: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert run("month", "2020-01")["counts"] == {"runs": 0, "reports": 0, "sets": 0}
    caplog.clear()
    assert main(["month", "2020-01"]) == 0
    line, verdict = caplog.records[-1].getMessage().splitlines()
    assert line == "January 2020 (UTC): 0 finished trainings, 0 reports, 0 published sets"
    assert verdict == "Nothing was committed to the store in this month."
    run("month", "2020-01", "--out", "month")
    assert {"month.html", "month.pdf", "month.json"} <= written(Path("month")).keys()
    assert main(["month", "2020-13"]) == 1
    assert "is not a month; give it as YYYY-MM" in caplog.records[-1].getMessage()
