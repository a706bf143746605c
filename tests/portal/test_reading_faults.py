"""What a reader typed and what was accepted survive: a database, a store, a process that ends."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from chestgan_core.errors import StoreUnreachable
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_portal.database import engine as engines
from chestgan_portal.database.tables import Answer, Presentation, Study
from tests.portal.clients import Portal
from tests.portal.reading_studies import Reading, answers_of, open_study
from tests.standins.ports import free_port
from tests.standins.postgresql import run_once

TYPED = {"rating": 9, "verdict": "synthetic", "confidence": 4, "seconds": "3.5"}
_HIDDEN = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)">')


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the file, for a backup that never ends."""
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def out_of_reach(address: str) -> Iterator[None]:
    """A database that ends all connections and takes none."""
    url = make_url(address)
    server = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    run_once(server, f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false")
    run_once(
        server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{url.database}'"
    )
    yield
    run_once(server, f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true")


def send_again(reading: Reading, page: str) -> httpx.Response:
    """Press the button of the page that kept the answer."""
    form = page.split("<main")[1]
    return reading.client.post(f"/studies/{reading.study}/answers", data=dict(_HIDDEN.findall(form)))


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "WAIT", 1)


@pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
def test_an_answer_typed_while_the_database_is_down_is_kept_in_the_page_and_sent_later(
    short_wait: None, portal: Portal, store: Store, database_address: str
) -> None:
    study = open_study(portal, store)
    reading = Reading(portal.client(portal.account("ana")), study.name)
    reading.join()
    reading.look()
    sqlite = make_url(database_address).get_backend_name() == "sqlite"
    down = (
        locked(Path(database_address.removeprefix("sqlite:///")))
        if sqlite
        else out_of_reach(database_address)
    )
    token = reading.client.get("/").text.split('"x-csrf-token": "')[1][:64]
    sent = {"csrf": token, "token": reading.token, **{name: str(value) for name, value in TYPED.items()}}
    with down:
        page = reading.client.post(f"/studies/{study.name}/answers", data=sent)
        assert page.status_code == 503
        assert "What you typed is kept in this page" in page.text
        again = send_again(reading, page.text)  # too early
        assert again.status_code == 503
    with portal.session() as db:
        assert answers_of(db, study) == []
    assert send_again(reading, again.text).status_code == 200
    with portal.session() as db:
        ((_, _, answer),) = answers_of(db, study)
    assert (answer.rating, answer.verdict, answer.confidence) == (9, "synthetic", 4)


def test_readers_go_on_while_the_store_is_down(portal: Portal, store: Store) -> None:
    study = open_study(portal, store, window=True)
    reading = Reading(portal.client(portal.account("ana")), study.name)
    reading.join()
    reading.answer()

    def down() -> Store:
        raise StoreUnreachable("store", "it does not answer", "wait")

    state = portal.pages.state
    state.store = state.frozen._open_store = state.withdrawals._open_store = down
    state.withdrawals._every = 0
    while reading.token:
        assert reading.look().status_code == 200
        reading.answer()
    with portal.session() as db:
        assert len(answers_of(db, study)) == 17
        assert db.get_one(Study, study.id).state == "open"


def test_a_portal_that_starts_without_the_store_says_so_and_goes_on_when_it_is_back(
    portal: Portal, store: Store
) -> None:
    study = open_study(portal, store)
    reading = Reading(portal.client(portal.account("ana")), study.name)
    reading.join()
    frozen = portal.pages.state.frozen
    frozen._kept.clear()  # as in a new process
    opened, down = frozen._open_store, True

    def open_store() -> Store:
        if down:
            raise StoreUnreachable("store", "it does not answer", "wait")
        return opened()

    frozen._open_store = open_store
    assert reading.look().status_code == 503
    page = reading.send(TYPED)  # without having seen the image
    assert page.status_code == 409
    assert 'name="rating" value="9" checked' in page.text
    down = False
    assert reading.look().status_code == 200
    assert reading.send(TYPED).status_code == 200


def start_portal(
    address: str, embedded: EmbeddedStore, store: Store, home: Path
) -> tuple[subprocess.Popen[str], str]:
    """`chestgan portal` in a process of its own."""
    port = free_port()
    environment = {
        **os.environ,
        **embedded.environment,
        "CHESTGAN_STORE": store.uri("").rstrip("/"),
        "CHESTGAN_HOME": str(home),
        "CHESTGAN_PORTAL_DATABASE": address,
        "CHESTGAN_PORTAL_PORT": str(port),
    }
    code = (
        "from chestgan_portal.server import serve; from chestgan_portal.settings import Settings;"
        "serve(Settings.from_environment())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, text=True, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health", timeout=5)
            return process, f"http://127.0.0.1:{port}"
        except httpx.HTTPError:
            assert process.poll() is None, "the portal ended"
            assert time.monotonic() < deadline, "the portal does not start"
            time.sleep(0.1)


def test_a_killed_server_loses_no_answer_that_it_accepted(
    portal: Portal, store: Store, embedded: EmbeddedStore, database_address: str, tmp_path: Path
) -> None:
    study = open_study(portal, store, images_per_side=20, warm_up=0, repeats=0)
    cookies = [portal.cookie_of(portal.account(f"reader{number}")) for number in range(8)]
    process, base = start_portal(database_address, embedded, store, tmp_path / "home")
    accepted: list[str] = []
    enough = threading.Event()

    def read(cookie: str) -> None:
        with httpx.Client(base_url=base, cookies={"chestgan-login": cookie}, timeout=30) as client:
            csrf = client.get("/studies").text.split('"x-csrf-token": "')[1][:64]
            headers = {"x-csrf-token": csrf, "hx-request": "true"}
            client.post(f"/studies/{study.name}/join", data={"agreed": "yes"}, headers=headers)
            page = client.get(f"/studies/{study.name}/reading?begin=main").text
            while found := re.search(r"/reading/images/([A-Za-z0-9_-]+)\.png", page):
                client.get(f"/reading/images/{found[1]}.png")
                answer = client.post(
                    f"/studies/{study.name}/answers", data={"token": found[1], **TYPED}, headers=headers
                )
                if answer.status_code == 200:
                    accepted.append(found[1])
                if len(accepted) >= 200:
                    enough.set()
                page = answer.text

    try:
        with ThreadPoolExecutor(len(cookies)) as pool:
            waiting = [pool.submit(read, cookie) for cookie in cookies]
            assert enough.wait(120), len(accepted)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=20)
            ended = [one.exception() for one in waiting]
    finally:
        process.kill()
    assert any(isinstance(error, httpx.TransportError) for error in ended)  # some were in the middle
    assert all(error is None or isinstance(error, httpx.TransportError) for error in ended)
    with portal.session() as db:
        kept = set(
            db.scalars(select(Presentation.token).join(Answer, Answer.presentation_id == Presentation.id))
        )
    assert len(set(accepted)) == len(accepted) >= 200
    assert set(accepted) <= kept
    assert len(kept) - len(accepted) <= len(cookies)  # accepted, and the word of it was lost
