"""The embedded database of studies: what is no database, and what cannot be written, is one line."""

import os
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from chestgan_core.errors import BadInput, ChestganError, DiskFull, StoreUnreachable
from chestgan_core.tuning.storage import EMBEDDED, study_storage, unreachable


@pytest.mark.parametrize("kind", ["text", "folder", "pipe"])
def test_what_is_no_database_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / EMBEDDED
    if kind == "text":
        path.write_text("garbage" * 1000)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(BadInput, match="is not a database of studies; move it away"):
        study_storage(tmp_path)


def test_a_database_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    study_storage(tmp_path)
    data = (tmp_path / EMBEDDED).read_bytes()
    (tmp_path / EMBEDDED).write_bytes(data[:100] + bytes(4000) + data[4100:8000])
    with pytest.raises(BadInput, match="is damaged; move it away"):
        study_storage(tmp_path)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, DiskFull),
        (sqlite3.SQLITE_CORRUPT, BadInput),
        (sqlite3.SQLITE_READONLY | 1 << 8, BadInput),
        (sqlite3.SQLITE_CANTOPEN, BadInput),
        (sqlite3.SQLITE_BUSY, StoreUnreachable),
    ],
)
def test_a_failure_of_the_database_has_its_cause(code: int, kind: type[ChestganError]) -> None:
    found = sqlite3.OperationalError("no text is passed on")
    found.sqlite_errorcode = code
    error = unreachable(DBAPIError("SELECT 1", {}, found))
    assert type(error) is kind
    assert "no text" not in str(error)
