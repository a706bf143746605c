"""A portal on a database of its own, clients of it, and the same portal behind a real server for a browser.

What reads the store must ask for the fixture `store` too: without it the portal's store does not answer, which pages
say (503). Passwords are hashed with next to no cost here; no setting can do that outside of tests.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from chestgan_core.errors import StoreUnreachable
from chestgan_core.store.store import Store
from chestgan_portal.accounts import passwords
from chestgan_portal.app import create_pages
from chestgan_portal.database.tables import Account
from chestgan_portal.settings import Settings
from tests.portal.clients import Portal
from tests.standins.ports import free_port
from tests.standins.postgresql import postgresql, run_once

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture(scope="session")
def postgresql_address() -> Iterator[str]:
    with postgresql() as address:
        yield address


@pytest.fixture
def database_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLite; by `@pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)` both."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'portal.sqlite'}"
    address: str = request.getfixturevalue("postgresql_address")
    name = f"portal_{uuid.uuid4().hex[:12]}"
    run_once(address, f"CREATE DATABASE {name}")
    return f"{address.rpartition('/')[0]}/{name}".replace("postgresql://", "postgresql+psycopg2://")


@pytest.fixture
def settings(database_address: str) -> Settings:
    """Override it in a test file (a fixture of the same name) for other settings."""
    return Settings(database=database_address, own_account=False, hosts=("testserver",), registration="open")


@pytest.fixture
def portal(settings: Settings, request: pytest.FixtureRequest) -> Iterator[Portal]:
    # Not at the first request: the embedded server ends with the thread that started it, and requests have their own.
    store: Store | None = request.getfixturevalue("store") if "store" in request.fixturenames else None

    def open_store() -> Store:
        if store is None:
            raise StoreUnreachable("store", "this test has none", "ask for the fixture store")
        return store

    pages = create_pages(settings, open_store)
    yield Portal(pages, settings)
    pages.state.engine.dispose()


@pytest.fixture
def client(portal: Portal) -> Callable[[], TestClient]:
    """Makes clients that are not logged in."""
    return portal.client


@pytest.fixture
def reader_account(portal: Portal) -> Account:
    return portal.account("reader")


@pytest.fixture
def administrator_account(portal: Portal) -> Account:
    return portal.account("boss", "administrator")


@pytest.fixture
def reader(portal: Portal, reader_account: Account) -> TestClient:
    """A client that is logged in as a reader."""
    return portal.client(reader_account)


@pytest.fixture
def administrator(portal: Portal, administrator_account: Account) -> TestClient:
    """A client that is logged in as an administrator."""
    return portal.client(administrator_account)


@pytest.fixture
def live_portal(portal: Portal) -> Iterator[str]:
    """The address of a real server that runs the same portal, in a thread."""
    port = free_port()
    config = uvicorn.Config(
        portal.app, port=port, proxy_headers=False, server_header=False, log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server ended at its start"
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture
def page(browser: "Browser", live_portal: str) -> Iterator["Page"]:
    """A page of a fresh browser profile; page.goto("/path") opens it on the live portal."""
    context = browser.new_context(base_url=live_portal, locale="en-GB")
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def log_in_page(portal: Portal, live_portal: str) -> Callable[["Page", Account], None]:
    """log_in_page(page, account): the browser of this page has a login from then on."""

    def log_in(page: "Page", account: Account) -> None:
        cookie = {"name": "chestgan-login", "value": portal.cookie_of(account), "url": live_portal}
        page.context.add_cookies([cookie])  # type: ignore[list-item]

    return log_in
