"""Studies in a real PostgreSQL, as several machines share it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chestgan_core.tuning.files import Shards, study_files, study_table
from chestgan_core.tuning.storage import EMBEDDED, storage_title
from tests.tuning.conftest import small, space, wanted

FOLDERS = list(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)))
INITDB = shutil.which("initdb", path=os.pathsep.join([*FOLDERS, os.environ.get("PATH", "")]))


@pytest.fixture
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh server with the account `me`, whose password is `geheim`."""
    if INITDB is None:
        pytest.skip("no PostgreSQL here (Debian: apt-get install postgresql)")
    folder = tmp_path_factory.mktemp("postgresql")
    # The server refuses to run as root.
    account = "postgres" if os.geteuid() == 0 else None
    if account:
        for parent in (folder.parent, folder.parent.parent):
            parent.chmod(0o755)
        shutil.chown(folder, account)
    password = folder.parent / f"{folder.name}-password"
    password.write_text("geheim\n")
    told = ["-D", str(folder / "data"), "-U", "me", "-A", "scram-sha-256", "--pwfile", str(password), "-N"]
    subprocess.run([INITDB, *told], check=True, capture_output=True, user=account, cwd="/")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listen = ["-D", str(folder / "data"), "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
    server = subprocess.Popen(
        [str(Path(INITDB).with_name("postgres")), *listen], user=account, cwd="/", stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        ready = [str(Path(INITDB).with_name("pg_isready")), "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready, capture_output=True).returncode:
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.1)
        yield f"postgresql://me:geheim@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # does not wait for connections
        server.wait(timeout=30)


@pytest.mark.slow
def test_workers_share_a_study_in_postgresql_and_nobody_tells_the_password(
    address: str, shards: Shards, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHESTGAN_STUDY_STORAGE", address)
    monkeypatch.setenv("CHESTGAN_EXECUTOR", "k8s")
    study_files(shards, small(), space(), wanted(trials=3, looks=1), 2, "phantoms", "phantom")
    table = study_table(shards.home, "small")
    assert len(table.rows) == 3
    assert table.best is not None
    assert not (shards.home / EMBEDDED).exists()
    assert storage_title() == "PostgreSQL, postgres at 127.0.0.1"
    said = capfd.readouterr()
    assert "geheim" not in said.out + said.err
