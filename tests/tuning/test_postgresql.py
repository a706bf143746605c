"""Studies in a real PostgreSQL, as several machines share it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chestgan_core.errors import BadInput
from chestgan_core.tuning.storage import EMBEDDED, storage_title, study_storage
from chestgan_core.tuning.study_files import Shards, run_study, study_table
from tests.standins.postgresql import postgresql, run_once
from tests.tuning.conftest import small, space, study_settings


@pytest.fixture
def address() -> Iterator[str]:
    with postgresql() as address:
        yield address


@pytest.mark.slow
def test_workers_share_a_study_in_postgresql_and_nothing_prints_the_password(
    address: str, shards: Shards, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHESTGAN_STUDY_STORAGE", address)
    monkeypatch.setenv("CHESTGAN_EXECUTOR", "k8s")
    run_study(shards, small(), space(), study_settings(trials=3, validations=1), 2, "phantoms", "phantom")
    table = study_table(shards.home, "small")
    assert len(table.rows) == 3
    assert table.best is not None
    assert not (shards.home / EMBEDDED).exists()
    assert storage_title() == "PostgreSQL, postgres at 127.0.0.1"
    printed = capfd.readouterr()
    assert "geheim" not in printed.out + printed.err


def test_the_database_of_something_else_is_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster's history keeps its revision in a table of the same name."""
    monkeypatch.setenv("CHESTGAN_STUDY_STORAGE", address)
    run_once(address, "CREATE TABLE alembic_version AS SELECT 'dagster' AS version_num")
    with pytest.raises(BadInput, match="a database of their own"):
        study_storage(tmp_path)
