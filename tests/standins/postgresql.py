"""A PostgreSQL server (Debian's) for the length of a `with`, in a folder that is removed with it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from tests.standins.ports import free_port

FOLDERS = list(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)))
INITDB = shutil.which("initdb", path=os.pathsep.join([*FOLDERS, os.environ.get("PATH", "")]))


def history_in(address: str) -> dict[str, str]:
    """The environment in which deploy/dagster.yaml finds a database."""
    parts = urlsplit(address)
    return {
        "CHESTGAN_POSTGRES_HOST": str(parts.hostname),
        "CHESTGAN_POSTGRES_PORT": str(parts.port),
        "CHESTGAN_POSTGRES_USER": str(parts.username),
        "CHESTGAN_POSTGRES_PASSWORD": str(parts.password),
        "CHESTGAN_POSTGRES_DB": parts.path[1:],
    }


def run_once(address: str, sql: str) -> None:
    """Run one statement, with the account of an address."""
    connection = psycopg2.connect(address)
    connection.autocommit = True  # CREATE DATABASE refuses a transaction
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
    finally:
        connection.close()


@contextmanager
def postgresql(host: str = "127.0.0.1") -> Iterator[str]:
    """Address of a fresh server with the account `me`, whose password is `geheim`; in CI it must be installed."""
    if INITDB is None:
        if os.environ.get("CI"):
            pytest.fail("no PostgreSQL here; apt-get install postgresql")
        pytest.skip("no PostgreSQL here (Debian: apt-get install postgresql)")
    # The server refuses to run as root, and other accounts do not see the folders of pytest.
    account = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="chestgan-postgresql-", dir="/tmp") as folder:
        data, password = Path(folder, "data"), Path(folder, "password")
        password.write_text("geheim\n")
        if account:
            for path in (Path(folder), password):
                shutil.chown(path, account)
        options = ["-D", str(data), "-U", "me", "-A", "scram-sha-256", "--pwfile", str(password), "-N"]
        subprocess.run([INITDB, *options], check=True, capture_output=True, user=account, cwd="/")
        port = free_port(host)
        # Password authentication from other addresses, too: pods have addresses of their own.
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 0.0.0.0/0 scram-sha-256\n")
        listen = ["-D", str(data), "-p", str(port), "-h", host, "-k", "", "-F"]
        server = subprocess.Popen(
            [str(Path(INITDB).with_name("postgres")), *listen],
            user=account,
            cwd="/",
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 30
            ready = [str(Path(INITDB).with_name("pg_isready")), "-h", host, "-p", str(port)]
            while subprocess.run(ready, capture_output=True).returncode:
                assert time.monotonic() < deadline, "PostgreSQL does not start"
                time.sleep(0.1)
            yield f"postgresql://me:geheim@{host}:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # does not wait for connections
            server.wait(timeout=30)
