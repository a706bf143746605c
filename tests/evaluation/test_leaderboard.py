"""All experiments at a glance: apart what does not compare, tied what does not differ, unranked what was refused."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pypdf
import pytest

from chestgan_core.cli.main import main
from chestgan_core.errors import Forgotten
from chestgan_core.evaluation.leaderboard.board import Leaderboard, read_leaderboard
from chestgan_core.evaluation.leaderboard.page import EMPTY, as_text, commit_leaderboard, write_leaderboard
from chestgan_core.evaluation.leaderboard.tables import near_table, other_table
from chestgan_core.evaluation.scoring.gate import GateResult
from chestgan_core.evaluation.scoring.metric_rows import FloorValue, Measurement, MetricRow, RowContext
from chestgan_core.local.prices import Prices
from chestgan_core.store import keys
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.forgotten import put_artefact_tombstone, remove_artefact
from chestgan_core.store.store import Store
from tests.evaluation.reports import ALIEN, COUSIN, FAILED, UNJUDGED, commit_report, near, whole

ALL_FROM = (near(), near(COUSIN), near(ALIEN))


def far(away: float) -> tuple[MetricRow, ...]:
    return near(away=away), near(COUSIN, away), near(ALIEN, away)


@pytest.fixture
def filled(store: Store) -> Store:
    """Of one kind: a and b, which do not differ, c, which does, a refused one that is nearest, one that is not judged,
    and one that was trained against features. Of 9 + 9 images, others of 8 + 8; one that was withdrawn and one that is
    of another version; one that was trained and has no report.
    """
    refused, unjudged = GateResult(False, (FAILED,)), GateResult(False, (UNJUDGED,))
    commit_report(store, whole("a", *far(0.2)))
    commit_report(store, whole("b", *far(0.21)))
    commit_report(store, whole("c", *far(0.5)))
    commit_report(store, whole("refused", *far(0.0), gate=refused))
    commit_report(store, whole("unjudged", *far(0.1), gate=unjudged))
    flattered = whole(
        "flattered", near(away=0.05), near(COUSIN, 0.05), near(ALIEN, 0.21), against="efficientnet-lite1"
    )
    commit_report(store, flattered)
    commit_report(store, whole("eight", replace(near(), n_real=8, n_fake=8)))
    withdrawn = commit_report(store, whole("withdrawn", near()))
    remove_artefact(store, withdrawn)
    put_artefact_tombstone(store, withdrawn, "metric-report", {})
    older = whole("older", near()).as_json()
    del older["gate"]
    commit_report(store, whole("older", near()), data=json.dumps(older).encode())
    store.update_pointer(keys.run_latest("ungraded"), {"run": "r"})
    return store


@pytest.fixture
def board(filled: Store) -> Leaderboard:
    return read_leaderboard(filled, ["a", "planned"])


def text_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages).split())


def test_what_does_not_compare_is_apart_and_what_does_not_differ_has_the_same_rank(
    board: Leaderboard,
) -> None:
    first, second = board.groups
    assert [(one.report.name, one.rank, one.tied) for one in first.places] == [
        ("flattered", 1, True), ("a", 1, True), ("b", 1, True), ("c", 4, False),
        ("refused", None, False), ("unjudged", None, False),
    ]  # fmt: skip
    assert [one.report.name for one in second.places] == ["eight"]
    assert second.apart(first) == "number of images: 8 + 8, not 9 + 9"
    assert (board.trained, board.untrained) == (("ungraded",), ("planned",))
    assert [one.experiment for one in board.unreadable] == ["older", "withdrawn"]
    assert "gate" in board.unreadable[0].reason
    assert "has withdrawn" in board.unreadable[1].reason


def test_the_tables_have_every_opinion_and_why_something_is_refused(board: Leaderboard) -> None:
    near_by = near_table(board.groups[0])
    assert near_by.head == (
        "rank", "experiment", "KID x 1000, efficientnet-lite0", "KID x 1000, efficientnet-lite2",
        "KID x 1000, radiomics", "coverage", "release gate",
    )  # fmt: skip
    lines = {line[1].partition(",")[0]: line for line in near_by.rows}
    assert lines["a"][:3] == ("1, tied", "a", "300.0 (250.0 to 350.0)")
    assert lines["flattered"][1] == "flattered, trained against ImageNet features (efficientnet-lite1)"
    assert lines["refused"][::6] == ("none", "refused: distance")
    assert lines["unjudged"][-1] == "not judged: coverage"
    assert lines["phantom against phantom"][2] == "30.0"


def test_diversity_is_a_share_of_that_of_real_images_and_cost_has_a_price_where_one_is_set(
    store: Store,
) -> None:
    context = RowContext("efficientnet-lite0:a", (9, 9), "a split", "", 0)
    rows = context.rows(lambda: {"coverage": Measurement(0.5, "", floor=FloorValue(0.8, "", 9))})
    spread = [
        replace(near(), measure=name, value=value, low=None, high=None, floor=40.0)
        for name, value in (("pairwise distance", 30.0), ("nearest other distance", 10.0))
    ]
    attack = replace(near(), measure="attack AUC", value=0.55, low=0.5, high=0.6)
    commit_report(store, whole("a", near(), *rows, *spread, attack))
    priced = read_leaderboard(store, [], Prices(cpu_hour=0.5, currency="EUR"))
    (line,) = other_table(priced, priced.groups[0]).rows
    assert line[:-1] == ("a", "75%", "25%", "0.55 (0.50 to 0.60)", "64,000", "2 h 0 min on cpu, 1.00 EUR")
    free = read_leaderboard(store, [])
    assert other_table(free, free.groups[0]).rows[0][5] == "2 h 0 min on cpu"
    assert near_table(free.groups[0]).rows[1][3] == "80%"


def test_the_page_names_nobody_who_is_tied_and_says_what_is_missing(
    board: Leaderboard, tmp_path: Path
) -> None:
    files = {path.name for path in write_leaderboard(board, tmp_path)}
    assert files == {
        "leaderboard.html", "leaderboard.json", "leaderboard.md", "leaderboard.pdf", "table-01.png", "table-02.png",
    }  # fmt: skip
    assert "(table-01.png)" in (tmp_path / "leaderboard.md").read_text()
    page, pdf = (
        (tmp_path / "leaderboard.html").read_text(),
        text_of((tmp_path / "leaderboard.pdf").read_bytes()),
    )
    for said in (
        "Table 1. No difference shown between flattered, a and b",
        "lower, but the release gate refused refused",
        "Table 2 is apart from table 1 by its number of images: 8 + 8, not 9 + 9",
        "refused: KID is 841, at most 300 is allowed.",
        "withdrawn: ",
        "Trained, and not evaluated: ungraded.",
        "Not trained in this store: planned.",
    ):
        assert said in page
        assert said in pdf
    assert "Nearest to held-out patients" not in page
    data = json.loads((tmp_path / "leaderboard.json").read_text())
    assert [one["headline"] for one in data["groups"]] == [
        "No difference shown between flattered, a and b", "nothing to compare with",
    ]  # fmt: skip
    assert "- " in next(line for line in as_text(board).splitlines() if "refused  " in line)


def test_a_store_without_reports_says_so(store: Store, tmp_path: Path) -> None:
    empty = read_leaderboard(store, ["planned"])
    stored = commit_leaderboard(store, empty, tmp_path)
    assert EMPTY in (tmp_path / "leaderboard.html").read_text()
    assert as_text(empty).startswith(EMPTY)
    assert stored.pictures == {}


def test_the_same_reports_are_committed_once_and_a_new_one_is_another_version(
    filled: Store, board: Leaderboard, tmp_path: Path
) -> None:
    one = commit_leaderboard(filled, board, tmp_path / "one")
    again = commit_leaderboard(filled, read_leaderboard(filled, ["a", "planned"]), tmp_path / "two")
    assert (one.new, again.new, again.version) == (True, False, one.version)
    assert not (tmp_path / "two").exists()
    assert list(one.pictures) == ["table-01.png", "table-02.png"]
    write_leaderboard(board, tmp_path / "three")
    artefact = filled.read_manifest(keys.leaderboard_manifest(one.version))
    for path in (tmp_path / "three").iterdir():
        assert filled.read(artefact, path.name) == path.read_bytes(), path.name
    assert "withdrawn" not in artefact.manifest["reports"]
    commit_report(filled, whole("c", *far(0.0)), "v2")
    newer = commit_leaderboard(filled, read_leaderboard(filled, ["a", "planned"]), tmp_path / "four")
    assert newer.version != one.version
    assert filled.read_pointer(keys.leaderboard_latest(), "version") == (newer.version,)


def test_a_patient_who_withdraws_meanwhile_takes_the_page_back(filled: Store, tmp_path: Path) -> None:
    board = read_leaderboard(filled, [])
    gone = keys.report_manifest("a", "run-a", "v1")
    remove_artefact(filled, gone)
    put_artefact_tombstone(filled, gone, "metric-report", {})
    with pytest.raises(Forgotten):
        commit_leaderboard(filled, board, tmp_path)
    assert not list(filled.list(keys.leaderboards_prefix()))


def test_many_experiments_have_several_pictures(store: Store, tmp_path: Path) -> None:
    for number in range(13):
        commit_report(store, whole(f"e{number:02d}", near(away=number / 10)))
    names = {path.name for path in write_leaderboard(read_leaderboard(store, []), tmp_path)}
    assert {"table-01.png", "table-01-2.png"} < names


def test_the_command_prints_the_tables_and_writes_the_page(
    filled: Store, embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in embedded.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHESTGAN_STORE", filled.uri())
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    assert main(["leaderboard", "--out", str(tmp_path / "out"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [one["experiment"] for one in data["groups"][0]["experiments"]][:3] == ["flattered", "a", "b"]
    assert (tmp_path / "out" / "leaderboard.pdf").read_bytes().startswith(b"%PDF")
    assert main(["leaderboard"]) == 0
    assert "Table 1: phantom, 32 pixels, 6 experiments: No difference shown" in capsys.readouterr().err
