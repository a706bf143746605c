"""`chestgan reading`, from a published set to the result."""

import json
from pathlib import Path

import pytest

from chestgan_core.cli.main import main
from chestgan_core.publishing.reader.set_folder import SetFolder
from chestgan_core.reading.images.frozen_study import open_study
from chestgan_core.reading.offline.sealed_key import stored_key
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.reading.test_offline import answer_file


@pytest.fixture(autouse=True)
def environment(embedded: EmbeddedStore, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**embedded.environment, "CHESTGAN_STORE": store.uri("").rstrip("/")}.items():
        monkeypatch.setenv(name, value)


def run(*arguments: object) -> int:
    return main(["reading", *map(str, arguments)])


def test_a_study_goes_from_a_set_to_its_result_without_a_portal(
    published: SetFolder, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("freeze", "trial", "--set", "small", "--images-per-side", 10, "--tumour", "--json") == 0
    frozen = json.loads(capsys.readouterr().out)
    assert frozen["images"] == 26
    out = tmp_path / "packs"
    assert run("pack", "trial", "--readers", 2, "--out", out, "--json") == 0
    packs = json.loads(capsys.readouterr().out)["packs"]
    files = []
    study = open_study(store, "trial", frozen["version"])
    for pack in packs:
        assert pack["key_sha256"] in Path(pack["file"]).read_text(encoding="utf-8")
        key = stored_key(store, study, pack["reader"])
        assert key.seal == pack["key_sha256"]
        files.append(tmp_path / f"{pack['reader']}.json")
        files[-1].write_text(json.dumps(answer_file(key)))
    assert sorted(path.name for path in out.iterdir() if path.suffix) == sorted(
        f"trial-{pack['reader']}.html" for pack in packs
    )
    assert run("score", *files, "--study", "trial", "--out", tmp_path / "result", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["answers"] == 2 * 20
    assert [row["standing"] for row in result["readers"]] == ["finished"] * 2
    assert result["accuracy_over_readers"]["value"] == 0.5  # both called every image real
    assert {"report.html", "report.pdf", "result.json"} <= {
        path.name for path in (tmp_path / "result").iterdir()
    }


def test_the_plan_says_how_many_images_a_precision_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "--half-width", 0.05, "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["images"], planned["images_per_side"]) == (386, 193)
    assert run("plan", "--images-per-side", planned["images_per_side"], "--json") == 0
    assert json.loads(capsys.readouterr().out)["half_width"] <= 0.05


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", "--half-width", "0.7"), "0.7 is not between 0 and 0.5"),
        (("freeze", "x", "--set", "small", "--images-per-side", "2"), "--images-per-side: "),
        (("freeze", "x", "--set", "smal", "--images-per-side", "10"), "did you mean small?"),
        (("pack", "tria", "--out", "packs"), "study tria: is not in the store; there is none yet"),
        (("score", "nowhere.json", "--study", "trial"), "study trial: is not in the store"),
        (("images", "small"), "is that of no run of small"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: tuple[str, ...], said: str, published: SetFolder, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("chestgan: ")]
    assert len(lines) == 1
    assert said in lines[0]
    assert not list(tmp_path.iterdir())
