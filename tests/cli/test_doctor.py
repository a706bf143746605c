"""chestgan doctor names every file that cannot be used, and where the patient key is."""

from pathlib import Path

import pytest

from chestgan_core.cli.doctor import Finding, _check, _datasets, _experiments, _patient_key


def test_every_file_that_cannot_be_used_is_named_and_not_only_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.yaml").write_text("dataset: [\n")
    (tmp_path / "two.yaml").write_text("dataset: nowhere\n")
    for variable, part, check in (
        ("CHESTGAN_EXPERIMENTS", "experiments", _experiments),
        ("CHESTGAN_DATASETS", "datasets", _datasets),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, str(tmp_path))
            finding: Finding = _check(part, check)
        assert not finding.works
        assert finding.detail.startswith("2 of ")
        assert "one.yaml" in finding.detail
        assert "two.yaml" in finding.detail
        assert finding.remedy == "correct these files; all others are used"


def test_the_patient_key_is_found_and_its_loss_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHESTGAN_PATIENT_KEY", raising=False)
    assert _patient_key(tmp_path).startswith("none yet")
    assert "keep a copy" in _patient_key(tmp_path)
    monkeypatch.setenv("CHESTGAN_PATIENT_KEY", "a key of at least sixteen characters")
    assert _patient_key(tmp_path).startswith("CHESTGAN_PATIENT_KEY; keep a copy")
