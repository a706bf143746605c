"""`chestgan forget`, as an operator uses it."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from chestgan_core.cli.main import main
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from tests.forgetting.chain import Chain
from tests.pipeline.stages import Stages


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def surroundings(embedded: EmbeddedStore, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**embedded.environment, "CHESTGAN_STORE": store.uri(), "CHESTGAN_HOME": str(home)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Any:
    """The answer of the command as data, and its exit status."""

    def asked(*arguments: str) -> tuple[int, Any]:
        status = main(["forget", *arguments, "--json"])
        out = capsys.readouterr().out
        return status, json.loads(out) if out else None

    return asked


def test_it_lists_first_and_deletes_once_the_key_is_typed(
    store: Store, chain: Chain, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = f"folder:{chain.trained}"
    before = [item.key for item in store.list()]
    assert main(["forget", key]) == 0
    listed = capsys.readouterr().err
    assert "17 things came of this patient" in listed
    assert f"chestgan forget {key} --apply" in listed
    assert "published set: 1 (withdrawn" in listed

    assert main(["forget", key, "--apply"]) == 1
    assert "nobody can answer; add --yes" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", Terminal(f"{key}x\n"))
    assert main(["forget", key, "--apply"]) == 1
    assert "was not typed, so nothing was changed" in capsys.readouterr().err
    assert [item.key for item in store.list()] == before

    monkeypatch.setattr(sys, "stdin", Terminal(f"{key}\n"))
    assert main(["forget", key, "--apply", "--by", "A. Operator"]) == 0
    said = capsys.readouterr().err
    assert f"Type {key} to delete all of it" in said
    assert f"{key} is forgotten: 17 things deleted or withdrawn" in said
    assert "record 2, complete" in said

    assert main(["forget", key]) == 0
    again = capsys.readouterr().err
    assert "nothing is left" in again
    assert "by A. Operator: sha256" in again


def test_a_patient_is_found_by_the_id_in_the_files_which_no_command_line_has(
    chain: Chain, people: Stages, home: Path, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [folder.name for folder in sorted((people.folder / "delivery").iterdir())]
    found = set()
    for one in ids:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{one}\n"))
        status, answer = asked("folder", "--patient-id")
        assert status == 0
        assert one not in json.dumps(answer)
        found.add(answer["patient"])
    assert found == set(chain.names)

    (home / "patient-key").unlink()
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{ids[0]}\n"))
    assert asked("folder", "--patient-id")[0] == 1
    assert not (home / "patient-key").exists()


@pytest.mark.parametrize(
    ("key", "status", "said"),
    [
        ("folder:{almost}", 2, "no catalog lists this patient; did you mean folder:{trained}"),
        ("foldr:{trained}", 2, "foldr is not a known dataset; did you mean folder?"),
        ("{trained}", 1, "is not written as DATASET:PATIENT"),
        ("folder:../x", 1, "cannot be part of a key"),
        (
            "chest_ct_scan_images:x",
            1,
            "is a dataset of pictures, which are stored by class and not by patient",
        ),
    ],
)
def test_a_wrong_key_is_answered_with_the_nearest_one(
    key: str, status: int, said: str, chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"trained": chain.trained, "almost": chain.trained[:-1]}
    assert main(["forget", key.format(**names), "--apply", "--yes"]) == status
    assert said.format(**names) in capsys.readouterr().err
