"""The bench of mapped slices runs at any size, compares batches bit by bit, and leaves nothing behind."""

from pathlib import Path

import pytest

from bench import mapped_slices


def test_it_measures_a_set_of_the_given_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_slices, "SECONDS", 0.01)
    monkeypatch.setattr(mapped_slices, "FEW", 2)
    given = "--slices 60 --size 16 --stored 32 --per-shard 25 --batch 4 --folder"
    mapped_slices.main([*given.split(), str(tmp_path)])
    said = capsys.readouterr().out
    assert "the slices in memory would be 0.00 GiB" in said
    assert "60 mapped and 60 in memory, batch 4, cpu" in said
    assert list(tmp_path.iterdir()) == []
