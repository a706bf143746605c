"""`chestgan plan`, and `chestgan train --tensorboard`: what they say, and what they refuse before the first second."""

import json
from pathlib import Path
from typing import Any

import pytest

from chestgan_core.cli.main import main
from tests.cli.files import TINY, write_slices


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_HOME", str(tmp_path / "home"))
    for name in ("CHESTGAN_PRICE_GPU_HOUR", "CHESTGAN_PRICE_CPU_HOUR", "CHESTGAN_PRICE_CURRENCY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)
    Path("other.yaml").write_text(TINY)
    write_slices(Path("train.safetensors"), "ABCD", each=6, seed=1)
    write_slices(Path("held.safetensors"), "EF", each=6, seed=2)


def run(capsys: pytest.CaptureFixture[str], command: str, status: int = 0) -> Any:
    assert main([*command.split(), "--json"]) == status
    return json.loads(capsys.readouterr().out) if not status else None


SIDES = "--data train.safetensors --held-out held.safetensors"


def test_a_plan_of_files_has_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    found = run(
        capsys, f"plan tiny.yaml {SIDES} --images 100000 --hourly-price 2 --currency CHF --device cpu"
    )
    assert found["data"] == {
        "source": "files",
        "train": {"patients": 4, "slices": 24},
        "held_out": {"patients": 2, "slices": 12},
    }
    assert found["planned"]["images"] == 100_000
    assert found["planned"]["cost"] == pytest.approx(2 * found["planned"]["hours"])
    assert found["currency"] == "CHF"
    assert [one["images"] for one in found["at_scale"]] == [1_000_000, 10_000_000, 25_000_000]
    assert found["held_out"]["floor"] is not None
    assert found["held_out"]["borrowed"] == 2
    assert found["speed"]["memory"] > 50 * 2**20


def test_without_held_out_slices_it_says_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert (
        main(["plan", "tiny.yaml", "--data", "train.safetensors", "--minutes", "1", "--device", "cpu"]) == 0
    )
    assert "not known, slices of both sides are needed (--data, --held-out)" in caplog.text
    assert "nobody is held out" in caplog.text


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("plan tyni", 2, "neither a known experiment nor a file"),
        (f"plan tiny.yaml {SIDES} --hourly-price 2", 1, "--hourly-price: is given without a currency"),
        (f"plan tiny.yaml {SIDES} --currency EUR", 1, "--currency: is given without a price"),
        ("plan tiny.yaml --held-out held.safetensors", 1, "--held-out: is given without --data"),
        ("plan tiny.yaml --data nothing.safetensors", 1, "nothing.safetensors"),
        (
            "plan tiny.yaml --data train.safetensors --held-out train.safetensors",
            1,
            "give slices of other patients",
        ),
    ],
)
def test_what_cannot_be_planned_is_one_line(
    command: str, status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(command.split()) == status
    assert said in caplog.text


def test_event_files_are_those_of_one_training(caplog: pytest.LogCaptureFixture) -> None:
    train = "--data train.safetensors --device cpu --tensorboard model/events"
    assert main(f"train tiny.yaml {train} --out model".split()) == 0
    assert len(list(Path("model/events").glob("events.out.tfevents.*"))) == 1
    assert main(f"train tiny.yaml {train} --out model --max-images 48".split()) == 0
    assert len(list(Path("model/events").glob("events.out.tfevents.*"))) == 2
    assert main(f"train other.yaml {train} --out another".split()) == 1
    assert "holds event files of a training tiny, not event files of a training other" in caplog.text
    assert not Path("another").exists()
