"""The connection to the database, and its migrations.

In: the address from the settings. Out: an engine whose tables are those of this version. An accepted answer is on the
disk before the browser hears of it, on both:

- SQLite writes ahead (WAL), so that who reads a page never waits for a writer. A writer takes the lock of writers with
  its first change (BEGIN IMMEDIATE) and waits for it; one that took it later, behind a read, would fail instead.
- PostgreSQL: nothing waits for ever, neither for a connection, a lock, a statement, nor for a process of ours that
  left a transaction open.

Migrations run in one transaction and one process at a time: two portals that start at once both find the tables done.
"""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import ArgumentError, DataError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import QueuePool

from chestgan_core.errors import BadInput
from chestgan_portal.settings import DATABASE

MIGRATIONS = Path(__file__).with_name("migrations")
POOL = 20  # connections of one process
WAIT = 10  # seconds for a connection, a lock, another writer: then the page says that the database does not answer
_STATEMENT, _OPEN_TRANSACTION = 15, 60  # seconds that PostgreSQL gives one statement, an idle transaction
_MIGRATION = 7_345_230_160  # any number that no other program on this server uses for its locks


def open_engine(address: str) -> Engine:
    """The engine of an address; no connection is made yet. Raises BadInput, which does not repeat the address."""
    remedy = f"set {DATABASE} to sqlite:////path/portal.sqlite or postgresql+psycopg2://user@host/name"
    try:
        url = make_url(address)
        sqlite = url.get_backend_name() == "sqlite"
        engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=WAIT,
            # What people typed is in no error (and below, _tell_less), and so in no log.
            hide_parameters=True,
            # A restarted server is not noticed by a page; a file needs no question.
            pool_pre_ping=not sqlite,
            connect_args=(
                {"isolation_level": "IMMEDIATE", "timeout": WAIT, "factory": _one_writer()}
                if sqlite
                else _limits(url)
            ),
        )
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise BadInput(DATABASE, "is not the address of a database that can be used", remedy) from error
    if sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "before_cursor_execute", _wait_for_writers)
    event.listen(engine, "handle_error", _tell_less)
    _forget_after_fork(engine)
    return engine


def upgrade(engine: Engine) -> None:
    """Bring the tables to this version; those that are already stay as they are.

    Raises BadInput: no connection, or tables of a newer version.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise BadInput(
            DATABASE, "the database does not open", "check that it runs and may be written"
        ) from error
    try:
        with connection, _alone(connection):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise BadInput(
            DATABASE,
            "its tables are of another version than this portal",
            "start the newer version, or restore the backup that was made before the upgrade",
        ) from error


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """One transaction, in which no other process migrates. Nothing of it stays when it fails or is killed."""
    if connection.dialect.name == "sqlite":
        # A table that is made anew is dropped before: with foreign keys, rows of others would go with it.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATION})
    try:
        yield
        connection.commit()
    finally:
        connection.rollback()
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _one_writer() -> type[sqlite3.Connection]:
    """A class of connections of which one writes at a time, and the next as soon as it has ended.

    SQLite itself waits for its lock by looking again after up to a tenth of a second, and lets others go first.
    """
    lock = threading.Lock()

    class OneWriter(sqlite3.Connection):
        writes = False

        def wait(self) -> None:
            """Until no other connection of this process writes; after WAIT SQLite itself says whether it may."""
            if not self.writes:
                self.writes = lock.acquire(timeout=WAIT)

        def _end(self) -> None:
            if self.writes:
                self.writes = False
                lock.release()

        def commit(self) -> None:
            try:
                super().commit()
            finally:
                self._end()

        def rollback(self) -> None:
            try:
                super().rollback()
            finally:
                self._end()

        def close(self) -> None:
            try:
                super().close()
            finally:
                self._end()

    return OneWriter


def _wait_for_writers(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
    if statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
        writer: Any = connection.connection.dbapi_connection
        writer.wait()


def _set_up_sqlite(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    _use_wal(cursor)
    for line in ("synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {line}")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Of a new file, once: SQLite does not wait where another process changes the same at this moment."""
    until = time.monotonic() + WAIT
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _tell_less(context: ExceptionContext) -> None:
    """Errors without the values that PostgreSQL repeats in them, and of one kind where a value fits no column.

    That is DataError for some drivers and values (NUL in a text, a number of 30 digits), an error of Python for others.
    Raises DataError.
    """
    if isinstance(context.original_exception, OverflowError | ValueError):
        raise DataError(None, None, context.original_exception, hide_parameters=True)
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None:
            error.args = tuple(
                one.partition("\nDETAIL:")[0] if isinstance(one, str) else one for one in error.args
            )


def _limits(url: URL) -> dict[str, Any]:
    """What libpq is told besides the address, which may say otherwise."""
    milliseconds = {
        "statement_timeout": _STATEMENT,
        "lock_timeout": WAIT,
        "idle_in_transaction_session_timeout": _OPEN_TRANSACTION,
    }
    told = {
        "connect_timeout": WAIT // 2,
        "application_name": "chestgan-portal",
        "options": " ".join(f"-c {name}={seconds * 1000}" for name, seconds in milliseconds.items()),
    }
    return {name: value for name, value in told.items() if name not in url.query}


def _forget_after_fork(engine: Engine) -> None:
    """A connection belongs to one process: a forked one makes its own, and leaves those of its parent open."""
    known = weakref.ref(engine)

    def forget() -> None:
        if (found := known()) is not None:
            found.dispose(close=False)

    os.register_at_fork(after_in_child=forget)
