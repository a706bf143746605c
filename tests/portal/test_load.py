"""Fifty readers at once, on a server of its own: every answer arrives, none is an error, none waits long."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_portal.database.tables import Answer, Participation
from tests.portal.clients import Portal
from tests.portal.crowd import crowd, read_study, share
from tests.portal.reading_studies import logged_in_readers, open_study
from tests.standins.ports import free_port

ROOT = Path(__file__).parent.parent.parent
READERS = 50


@contextmanager
def server(portal: Portal, store: Store, embedded: EmbeddedStore, folder: Path) -> Iterator[str]:
    """`chestgan portal` on the database of a portal and on a store; its address."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CHESTGAN_PORTAL")},
        **embedded.environment,
        "CHESTGAN_STORE": store.uri(),
        "CHESTGAN_HOME": str(folder),
        "CHESTGAN_PORTAL_DATABASE": portal.settings.database,
        "CHESTGAN_PORTAL_PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }
    with (folder / "portal.log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("chestgan")), "portal"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while b"http://" not in (folder / "portal.log").read_bytes():
            assert process.poll() is None, (folder / "portal.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.slow
@pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
def test_fifty_readers_at_once_complete_a_study_without_one_error(
    portal: Portal, store: Store, embedded: EmbeddedStore, tmp_path: Path
) -> None:
    """Without pauses, which no person can: the server is as busy as it gets."""
    study = open_study(portal, store)
    cookies = logged_in_readers(portal, READERS)
    with server(portal, store, embedded, tmp_path) as address:
        answered, times = crowd(
            lambda number, times: read_study(address, cookies[number], study.name, times), READERS
        )
    assert times.errors == []
    assert len(set(answered)) == 1, answered
    with portal.session() as db:
        assert db.scalar(select(func.count()).select_from(Answer)) == sum(answered)
        assert db.scalar(select(func.count()).where(Participation.finished_at.is_not(None))) == READERS
    # Nobody is forgotten: with fifty at once the slowest request takes seconds, never a minute.
    assert share(times.all(), 1.0) < 20
    said = (tmp_path / "portal.log").read_text()
    assert "Traceback" not in said


def test_eight_readers_at_once_complete_a_study_without_one_error(
    portal: Portal, store: Store, embedded: EmbeddedStore, tmp_path: Path
) -> None:
    study = open_study(portal, store, images_per_side=4, warm_up=0)
    cookies = logged_in_readers(portal, 8)
    with server(portal, store, embedded, tmp_path) as address:
        answered, times = crowd(
            lambda number, times: read_study(address, cookies[number], study.name, times), 8
        )
    assert times.errors == []
    with portal.session() as db:
        assert db.scalar(select(func.count()).select_from(Answer)) == sum(answered) == 8 * answered[0]
