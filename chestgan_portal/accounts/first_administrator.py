"""`chestgan portal --add-administrator`: an administrator made on the machine, as nobody can become one in the browser.

There is no shared secret that makes administrators, and no sample account: who may read the database may do this.
"""

import getpass
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from chestgan_core.errors import BadInput
from chestgan_portal.accounts import fields
from chestgan_portal.accounts.passwords import chosen_password, hashed
from chestgan_portal.accounts.registration import email_is_taken, username_is_taken
from chestgan_portal.database.deeds import note_deed
from chestgan_portal.database.engine import open_engine, upgrade
from chestgan_portal.database.tables import Account
from chestgan_portal.settings import Settings

_LONGEST = 1000  # characters of a line on standard input


def add_administrator(settings: Settings, username: str) -> str:
    """Make the account; returns its username. On a terminal it asks; else three lines: name, e-mail, password.

    Raises BadInput: what cannot be kept, and names that exist already. Nothing is made then.
    """
    name: str = _fit("username", partial(fields.username, username))
    engine = open_engine(settings.database)
    try:
        upgrade(engine)
        with Session(engine) as session:
            if username_is_taken(session, name):
                raise BadInput(
                    f"account {name}",
                    "exists already",
                    "take another name, or give it the role there",
                )
            session.rollback()  # a person may take longer to type than a database keeps a transaction open
            account = _asked(name)
            if email_is_taken(session, account.email):
                raise BadInput("e-mail", "belongs to another account", "take another one")
            session.add(account)
            note_deed(session, Account(username="command line"), "add administrator", name)
            try:
                session.commit()
            except IntegrityError as error:
                raise BadInput(f"account {name}", "exists since a moment ago", "take another name") from error
    finally:
        engine.dispose()
    return name


def where_to_log_in(settings: Settings) -> str:
    """Lines for the terminal: the portal's address, and how to get in; tables must be there."""
    engine = open_engine(settings.database)
    try:
        with Session(engine) as session:
            open_ones = (Account.role == "administrator", Account.disabled_at.is_(None))
            found = session.scalar(select(Account.id).where(*open_ones).limit(1)) is not None
    finally:
        engine.dispose()
    way = (
        f"log in at {settings.address}/login"
        if found
        else "nobody administers it yet; make an account for it: chestgan portal --add-administrator USERNAME"
    )
    return f"portal  {settings.address}\n        {way}"


def _asked(username: str) -> Account:
    """The account as the person describes it; a terminal asks again for the password where it cannot be kept."""
    name = _fit("name", partial(fields.person, _line("Name: ")))
    email = _fit("e-mail", partial(fields.email, _line("E-mail: ")))
    own = (username, email, email.partition("@")[0], *name.split())
    if sys.stdin.isatty():
        password = _typed_twice(own)
    else:
        line = _line("")
        password = _fit("password", partial(chosen_password, line, line, own))
    return Account(
        username=username, name=name, email=email, role="administrator", password_hash=hashed(password)
    )


def _typed_twice(own: tuple[str, ...]) -> str:
    while True:
        try:
            return chosen_password(
                getpass.getpass("Password: "), getpass.getpass("The same once more: "), own
            )
        except fields.Unfit as error:
            print(error, file=sys.stderr)
        except EOFError as error:
            raise _too_few() from error


def _line(question: str) -> str:
    """A line of standard input without its end; only a person is asked. Raises BadInput: there is none."""
    if sys.stdin.isatty():
        print(question, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline(_LONGEST)
    if not line:
        raise _too_few()
    return line.rstrip("\r\n")


def _too_few() -> BadInput:
    return BadInput("standard input", "has too few lines", "give three: name, e-mail, password")


def _fit(what: str, check: Callable[[], Any]) -> Any:
    try:
        return check()
    except fields.Unfit as error:
        raise BadInput(what, "cannot be kept", str(error)) from error
