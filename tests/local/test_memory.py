"""How much memory is left: of the machine, and of a container on it."""

from pathlib import Path

import pytest

from chestgan_core.local import memory
from chestgan_core.local.memory import available_memory


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what Linux says; empty."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(
        memory, "LIMITS", ((tmp_path / "max", tmp_path / "current", tmp_path / "stat", "inactive_file"),)
    )
    return tmp_path


def test_the_smaller_of_machine_and_container_counts(system: Path) -> None:
    (system / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:    4000 kB\n")
    assert available_memory() == 4000 * 1024
    (system / "max").write_text("3000000\n")
    (system / "current").write_text("1000000\n")
    assert available_memory() == 2_000_000
    (system / "current").write_text("3000001\n")
    assert available_memory() == 0


def test_copies_of_files_that_a_container_gives_up_do_not_count(system: Path) -> None:
    (system / "max").write_text("3000000\n")
    (system / "current").write_text("2500000\n")
    (system / "stat").write_text("anon 500000\nfile 2000000\ninactive_file 1900000\n")
    assert available_memory() == 2_400_000


def test_a_container_without_a_limit_has_that_of_the_machine(system: Path) -> None:
    (system / "meminfo").write_text("MemAvailable: 4000 kB\n")
    (system / "max").write_text("max\n")
    (system / "current").write_text("1000000\n")
    assert available_memory() == 4000 * 1024


def test_where_nobody_says_it_nothing_is_known(system: Path) -> None:
    assert available_memory() is None
