"""How many cores may be used: of those that are allowed, within the quota of a container, or as it is set."""

import os
from pathlib import Path

import pytest

from chestgan_core.errors import BadInput
from chestgan_core.local import cores
from chestgan_core.local.cores import usable_cores

ALLOWED = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what Linux says of the container; empty. Nothing is set."""
    monkeypatch.delenv("CHESTGAN_CORES", raising=False)
    monkeypatch.setattr(cores, "CPU_MAX", tmp_path / "cpu.max")
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "quota")
    monkeypatch.setattr(cores, "PERIOD", tmp_path / "period")
    return tmp_path


@pytest.mark.parametrize("quota", ["max 100000\n", "6400000 100000\n", "damaged", ""])
def test_without_a_quota_all_allowed_cores_are_used(system: Path, quota: str) -> None:
    (system / "cpu.max").write_text(quota)
    assert usable_cores() == min(ALLOWED, 64)


@pytest.mark.parametrize(
    ("quota", "usable"), [("100000 100000", 1), ("20000 100000", 1), ("150000 100000", 2)]
)
def test_a_quota_is_rounded_up(system: Path, quota: str, usable: int) -> None:
    (system / "cpu.max").write_text(quota)
    assert usable_cores() == min(usable, ALLOWED)


def test_the_quota_of_version_1_of_control_groups_counts_too(system: Path) -> None:
    (system / "quota").write_text("-1\n")
    (system / "period").write_text("100000\n")
    assert usable_cores() == min(ALLOWED, 64)
    (system / "quota").write_text("50000\n")
    assert usable_cores() == 1


def test_a_setting_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHESTGAN_CORES", "3")
    assert usable_cores() == 3


@pytest.mark.parametrize("value", ["0", "65", "-1", "many", "1.5", "nan", "1e1", "2.0"])
def test_what_is_no_such_number_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CHESTGAN_CORES", value)
    with pytest.raises(BadInput, match="CHESTGAN_CORES"):
        usable_cores()
