"""A portal that is killed (-9) in the middle of its work: what it had accepted is there when it starts again."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from chestgan_core.store.embedded import EmbeddedStore
from chestgan_portal.database.engine import open_engine
from chestgan_portal.database.tables import Account, ContactMessage
from tests.standins.ports import free_port

ROOT = Path(__file__).parent.parent.parent
# With a limit of a few per address and hour, so many are accepted of one visitor.
TRIED = 3


def started(database: str, embedded: EmbeddedStore, folder: Path, port: int) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        **embedded.environment,
        "CHESTGAN_HOME": str(folder),
        "CHESTGAN_PORTAL_DATABASE": database,
        "CHESTGAN_PORTAL_PORT": str(port),
        "CHESTGAN_PORTAL_REGISTRATION": "open",
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("chestgan")), "portal"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 90
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return process


class Visitor:
    """A browser without scripts."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def send(self, path: str, **fields: str) -> bool:
        """Whether the portal said that it has the form: it leads on to another page."""
        page = self._opener.open(f"{self._address}{path}", timeout=60).read().decode()
        token = re.search(r'"x-csrf-token": "([0-9a-f]{64})"', page)
        assert token
        data = urllib.parse.urlencode({"csrf": token[1], **fields}).encode()
        with self._opener.open(f"{self._address}{path}", data, timeout=60) as answer:
            return str(answer.url) != f"{self._address}{path}"


@pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
def test_what_was_accepted_before_a_kill_is_there_after_it(
    database_address: str, embedded: EmbeddedStore, tmp_path: Path
) -> None:
    """Visitors write and register while the process is killed at once after one of them was told so."""
    port = free_port()
    accepted: list[str] = []
    process = started(database_address, embedded, tmp_path, port)
    try:
        first, told = threading.Event(), threading.Lock()

        def visit(number: int) -> None:
            try:
                visitor = Visitor(f"http://127.0.0.1:{port}")
                name = f"visitor{number}"
                if visitor.send("/contact", name=name, email=f"{name}@a.example", text="Hello", website=""):
                    with told:
                        accepted.append(f"message of {name}")
                    first.set()
                password = "a quiet corridor"
                form = {"username": name, "name": name, "email": f"{name}@a.example"}
                if visitor.send("/register", **form, password=password, again=password):
                    with told:
                        accepted.append(f"account of {name}")
            except OSError:
                pass  # it was killed before it answered, so nothing was promised

        threads = [threading.Thread(target=visit, args=(number,)) for number in range(TRIED)]
        for thread in threads:
            thread.start()
        assert first.wait(60), json.dumps(accepted)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        for thread in threads:
            thread.join(70)
        process = started(database_address, embedded, tmp_path, port)
        engine = open_engine(database_address)
        with Session(engine) as db:
            there = {f"message of {name}" for name in db.scalars(select(ContactMessage.name))}
            there |= {f"account of {name}" for name in db.scalars(select(Account.username))}
        engine.dispose()
        assert accepted
        assert set(accepted) <= there
    finally:
        process.kill()
        process.wait(10)
