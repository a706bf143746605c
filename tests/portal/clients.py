"""Visitors of the portal in tests: accounts made directly in the database, clients and browsers that are logged in.

    client = portal.client(portal.account("reader"))
    answer = post(client, "/account/avatar", {"avatar": 3})

`post` sends the token of the client's forms; `client.post` alone sends none.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from httpx import Response
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from chestgan_portal.accounts import passwords
from chestgan_portal.app import guarded
from chestgan_portal.database.tables import Account, Login, now
from chestgan_portal.security.visitors import LIFETIME, digest
from chestgan_portal.settings import Settings

PASSWORD = "a quiet corridor"  # of every account made here
_TOKEN = re.compile(r'"x-csrf-token": "([0-9a-f]{64})"')


@dataclass(frozen=True)
class Portal:
    """A portal with its database. pages: the routes without the guard. app: what a server runs."""

    pages: FastAPI
    settings: Settings

    @property
    def app(self) -> Any:
        return guarded(self.pages, self.settings)

    @property
    def engine(self) -> Engine:
        engine: Engine = self.pages.state.engine
        return engine

    def session(self) -> Session:
        """Close it (`with`): SQLite takes one writer at a time."""
        return Session(self.engine, expire_on_commit=False)

    def account(self, username: str = "reader", role: str = "reader", **fields: Any) -> Account:
        """A new account with PASSWORD; detached, its columns can be read."""
        with self.session() as session:
            account = Account(
                **{
                    "username": username,
                    "name": f"Name of {username}",
                    "email": f"{username}@hospital.example",
                    "password_hash": passwords.hashed(PASSWORD),
                    "role": role,
                    **fields,
                }
            )
            session.add(account)
            session.commit()
            return account

    def cookie_of(self, account: Account) -> str:
        """The value of the cookie of a new login."""
        value = secrets.token_urlsafe(32)
        with self.session() as session:
            session.add(Login(id=digest(value), account_id=account.id, expires_at=now() + LIFETIME))
            session.commit()
        return value

    def client(self, account: Account | None = None, **options: Any) -> TestClient:
        """A client with cookies of its own, logged in where an account is given. It follows redirects."""
        client = TestClient(self.app, **{"raise_server_exceptions": True, **options})
        if account is not None:
            client.cookies.set("chestgan-login", self.cookie_of(account), domain="testserver.local")
        return client


def token(client: TestClient, path: str = "/account") -> str:
    """The token of this client's forms, from a page: the account's, or that of the login where it leads."""
    found = _TOKEN.search(client.get(path).text)
    assert found, f"{path} has no token"
    return found[1]


def post(client: TestClient, path: str, data: Mapping[str, Any] | None = None, **options: Any) -> Response:
    """Send a form as a page of the portal does, with its token. data: a list as a value repeats the field."""
    return client.post(path, data={"csrf": token(client), **(data or {})}, **options)
