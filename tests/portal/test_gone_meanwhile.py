"""A row that goes while a request is at work on it: the answer says so, nothing is half done, and nothing crashes."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, update
from starlette.testclient import TestClient

from chestgan_portal.accounts import login, own_data, profile
from chestgan_portal.database.tables import Account, Login
from tests.portal.clients import PASSWORD, Portal, post

BOTH = pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)


def before(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, event: Callable[[], None]) -> None:
    """Run `event` in a session of its own, at the moment at which the module calls this function."""
    original = getattr(module, name)

    def called(*arguments: Any, **options: Any) -> Any:
        event()
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, called)


def do(portal: Portal, statement: Any) -> Callable[[], None]:
    def run() -> None:
        with portal.session() as db:
            db.execute(statement)
            db.commit()

    return run


@BOTH
def test_an_account_that_is_deleted_during_its_login_is_not_logged_in(
    portal: Portal, reader_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = delete(Account).where(Account.id == reader_account.id)
    before(monkeypatch, login, "fits", do(portal, gone))
    client = portal.client()
    answer = post(client, "/login", {"name": "reader", "password": PASSWORD})
    assert (answer.status_code, "at the same moment" in answer.text) == (409, True)
    assert client.get("/account", follow_redirects=False).status_code == 303


@BOTH
def test_an_account_that_is_deleted_while_its_profile_is_saved_stays_deleted(
    portal: Portal, reader: TestClient, reader_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = delete(Account).where(Account.id == reader_account.id)
    before(monkeypatch, profile.fields, "checked", do(portal, gone))
    assert post(reader, "/account/profile", {"name": "New Name"}).status_code == 409
    with portal.session() as db:
        assert db.get(Account, reader_account.id) is None
        assert db.query(Login).count() == 0


@BOTH
def test_a_reader_who_becomes_the_last_administrator_during_the_own_deletion_stays(
    portal: Portal, reader: TestClient, reader_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted = update(Account).where(Account.id == reader_account.id).values(role="administrator")
    before(monkeypatch, own_data, "delete_account", do(portal, promoted))
    answer = post(reader, "/account/delete", {"password": PASSWORD})
    assert (answer.status_code, "You are the only administrator" in answer.text) == (422, True)
    with portal.session() as db:
        assert db.get_one(Account, reader_account.id).is_administrator
