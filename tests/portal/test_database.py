"""The database of the portal, on SQLite and PostgreSQL: migrations, restarts, load, backups."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, func, inspect, select, text
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from chestgan_core.errors import BadInput
from chestgan_portal.app import create_pages
from chestgan_portal.database import engine as engine_module
from chestgan_portal.database.engine import POOL, open_engine, upgrade
from chestgan_portal.database.tables import Account, ContactMessage, Login, Notification, Table, now
from chestgan_portal.settings import Settings
from tests.portal.clients import Portal
from tests.standins.postgresql import FOLDERS, run_once

both = pytest.mark.parametrize("database_address", ["sqlite", "postgresql"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_address", ["postgresql"], indirect=True)


@pytest.fixture
def engine(database_address: str) -> Iterator[Engine]:
    engine = open_engine(database_address)
    upgrade(engine)
    yield engine
    engine.dispose()


def a_message(text: str = "words") -> ContactMessage:
    return ContactMessage(name="a visitor", email="visitor@example.org", text=text)


def an_account(name: str) -> Account:
    return Account(username=name, name=name, email=f"{name}@example.org", password_hash="-", role="reader")


@both
def test_the_migrations_make_the_tables_that_the_code_uses(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


@both
def test_an_upgrade_of_tables_in_use_keeps_their_rows(engine: Engine) -> None:
    with Session(engine) as db:
        account = an_account("reader")
        db.add_all([account, a_message()])
        db.flush()
        db.add(Login(id="0" * 64, account_id=account.id, expires_at=now() + timedelta(hours=1)))
        db.commit()
    upgrade(engine)
    with Session(engine) as db:
        counts = [
            db.scalar(select(func.count()).select_from(kind)) for kind in (Account, ContactMessage, Login)
        ]
    assert counts == [1, 1, 1]


def test_a_migration_that_makes_a_table_anew_does_not_delete_what_refers_to_it(engine: Engine) -> None:
    """SQLite changes a column by a copy of the table; with foreign keys, dropping the old one deletes the logins."""
    with Session(engine) as db:
        account = an_account("reader")
        db.add(account)
        db.flush()
        db.add(Login(id="0" * 64, account_id=account.id, expires_at=now() + timedelta(hours=1)))
        db.commit()
    with engine.connect() as connection, engine_module._alone(connection):
        columns = ", ".join(column["name"] for column in inspect(connection).get_columns("accounts"))
        connection.exec_driver_sql(f"CREATE TABLE anew AS SELECT {columns} FROM accounts")
        connection.exec_driver_sql("DROP TABLE accounts")
        connection.exec_driver_sql("ALTER TABLE anew RENAME TO accounts")
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(Login)).scalar() == 1
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@both
def test_portals_that_start_at_once_all_find_the_tables(database_address: str) -> None:
    """Processes of their own, as replicas are: threads would share a connection pool and its locks."""
    program = (
        "import sys; from chestgan_portal.app import create_pages; from chestgan_portal.settings import Settings;"
        "print('ready', flush=True); input();"
        "pages = create_pages(Settings(sys.argv[1])); print(pages.state.secret.decode())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, database_address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for one in started:  # all of them have imported what they need, and wait
        assert one.stdout.readline() == "ready\n"  # type: ignore[union-attr]
    for one in started:
        one.stdin.write("\n")  # type: ignore[union-attr]
        one.stdin.flush()  # type: ignore[union-attr]
    said = [one.communicate(timeout=60) for one in started]
    assert [one.returncode for one in started] == [0] * 4, said
    # One secret for all: a form of one replica is sent to another.
    assert len({out for out, _ in said}) == 1


@both
def test_an_upgrade_that_fails_leaves_nothing_behind(
    database_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(engine_module.MIGRATIONS, folder)
    (folder / "versions" / "9999_fails.py").write_text(
        'revision = "9999"\n'
        f'down_revision = "{newest_revision()}"\n'
        "from alembic import op\n"
        "def upgrade():\n"
        '    op.execute("CREATE TABLE half (id integer)")\n'
        '    op.execute("this is no SQL")\n'
    )
    monkeypatch.setattr(engine_module, "MIGRATIONS", folder)
    engine = open_engine(database_address)
    with pytest.raises(Exception, match=r"this is no SQL|syntax"):
        upgrade(engine)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def newest_revision() -> str:
    return max(path.name.partition("_")[0] for path in (engine_module.MIGRATIONS / "versions").glob("0*.py"))


@both
def test_tables_of_a_newer_portal_are_refused_in_one_line(engine: Engine, database_address: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9998'"))
    with pytest.raises(BadInput, match="another version than this portal") as raised:
        create_pages(Settings(database_address))
    assert "restore the backup" in str(raised.value)


def test_an_address_that_is_none_is_refused_and_not_repeated() -> None:
    for address in ("nonsense", "mysql+nothing://me:secret@host/name", "postgresql+psycopg2://"):
        with pytest.raises(BadInput, match="CHESTGAN_PORTAL_DATABASE") as raised:
            upgrade(open_engine(address))
        assert "secret" not in str(raised.value)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the database does not open"):
        upgrade(open_engine(f"sqlite:///{tmp_path / 'missing' / 'portal.sqlite'}"))


@both
def test_what_people_typed_is_in_no_error(engine: Engine) -> None:
    with Session(engine) as db:
        db.add_all([an_account("someone"), an_account("someone")])
        with pytest.raises(IntegrityError) as raised:
            db.commit()
    assert "someone" not in str(raised.value) + repr(raised.value.orig)


def test_a_number_that_no_column_holds_is_an_error_of_the_data(engine: Engine) -> None:
    """The driver raises OverflowError, which would be a failure of the server. In PostgreSQL no row has it."""
    with Session(engine) as db, pytest.raises(DataError):
        db.get(Account, 10**30)


@on_postgresql
def test_a_nul_in_a_text_is_an_error_of_the_data(engine: Engine) -> None:
    """The driver raises ValueError, which would be a failure of the server."""
    with Session(engine) as db, pytest.raises(DataError):
        db.scalar(select(Account).where(Account.username == "a\0b"))


def test_sqlite_writes_ahead_and_to_the_disk(engine: Engine) -> None:
    with engine.connect() as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


@both
def test_many_writers_at_once_all_succeed(engine: Engine) -> None:
    """Each reads first: on SQLite a writer that begins with a read would fail as soon as another one commits."""

    def write(number: int) -> None:
        with Session(engine) as db:
            before = db.scalar(select(func.count()).select_from(ContactMessage))
            db.add(a_message(f"{number} after {before}"))
            db.commit()

    with ThreadPoolExecutor(2 * POOL) as pool:
        list(pool.map(write, range(200)))
    with Session(engine) as db:
        assert db.scalar(select(func.count()).select_from(ContactMessage)) == 200


def test_a_reader_does_not_wait_for_a_writer(engine: Engine) -> None:
    with Session(engine) as writer, Session(engine) as reader:
        writer.add(a_message())
        writer.flush()  # holds the lock of writers
        started = time.monotonic()
        assert reader.scalar(select(func.count()).select_from(ContactMessage)) == 0
        assert time.monotonic() - started < 1


@both
def test_a_delivery_that_two_processes_accept_at_once_is_stored_once(engine: Engine) -> None:
    began, refused = threading.Barrier(8), []

    def accept(_: int) -> None:
        with Session(engine) as db:
            began.wait()
            db.add(Notification(delivery="the same", kind="run-failed", at=now(), content={}))
            try:
                db.commit()
            except IntegrityError:
                refused.append(1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(accept, range(8)))
    assert len(refused) == 7


@both
def test_a_pool_without_a_free_connection_is_a_page_that_says_so(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal.pages.state.engine.pool, "_timeout", 0.1)
    held = [portal.pages.state.engine.connect() for _ in range(POOL)]
    try:
        with pytest.raises(NoConnection):
            portal.pages.state.engine.connect()
        answer = portal.client(cookies={"chestgan-login": "unknown"}).get("/")
        assert answer.status_code == 503
        assert "The database does not answer" in answer.text
    finally:
        for one in held:
            one.close()
    assert portal.client().get("/").status_code == 200


@on_postgresql
def test_a_restarted_server_is_not_noticed(engine: Engine, database_address: str) -> None:
    """Its connections are gone, which the pool finds out before a page does."""
    with Session(engine) as db:
        db.add(a_message())
        db.commit()
    name = database_address.rpartition("/")[2]
    run_once(
        database_address.replace("+psycopg2", "").rpartition("/")[0] + "/postgres",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )
    with Session(engine) as db:
        assert db.scalar(select(func.count()).select_from(ContactMessage)) == 1


@on_postgresql
def test_no_statement_and_no_lock_is_waited_for_without_end(engine: Engine) -> None:
    with engine.connect() as connection:
        limits = [
            connection.execute(text(f"SHOW {name}")).scalar()
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        ]
        assert limits == ["15s", "10s", "1min"]
        with pytest.raises(OperationalError, match="statement timeout"):
            connection.execute(text("SET statement_timeout = '100ms'; SELECT pg_sleep(20)"))


def test_a_limit_in_the_address_wins() -> None:
    address = "postgresql+psycopg2://me@host/name?options=-c%20statement_timeout%3D1000"
    assert "options" not in engine_module._limits(open_engine(address).url)


@both
def test_a_forked_process_leaves_the_connections_of_its_parent_alone(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    child = os.fork()
    if child == 0:  # nothing here may reach pytest
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
            os._exit(0 if engine.pool.checkedin() == 1 else 1)  # type: ignore[attr-defined]
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_a_backup_of_a_sqlite_in_use_is_restored_by_putting_it_in_place(
    engine: Engine, tmp_path: Path
) -> None:
    """The command of docs/deploy.md; copying the file alone would leave out what is still in the WAL."""
    command = 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("VACUUM INTO ?", (sys.argv[2],))'
    assert command in (Path(__file__).parent.parent.parent / "docs" / "deploy.md").read_text()
    path, backup = Path(str(engine.url.database)), tmp_path / "backup.sqlite"
    with Session(engine) as db:
        db.add(a_message("before"))
        db.commit()
    with Session(engine) as writer:  # somebody writes all the while
        writer.add(a_message("not committed"))
        writer.flush()
        subprocess.run([sys.executable, "-c", command, str(path), str(backup)], check=True)
    with Session(engine) as db:
        db.add(a_message("after"))
        db.commit()
    engine.dispose()
    for lost in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        lost.unlink(missing_ok=True)
    shutil.copyfile(backup, path)
    with closing(sqlite3.connect(path)) as restored:
        assert restored.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    upgrade(engine)
    with Session(engine) as db:
        assert db.scalars(select(ContactMessage.text)).all() == ["before"]


@on_postgresql
def test_a_dump_of_postgresql_is_restored_into_an_empty_database(
    engine: Engine, database_address: str
) -> None:
    with Session(engine) as db:
        db.add(a_message("before"))
        db.commit()
    account = urlsplit(database_address)
    environment = {
        **os.environ,
        "PGHOST": str(account.hostname),
        "PGPORT": str(account.port),
        "PGUSER": str(account.username),
        "PGPASSWORD": str(account.password),
        "PATH": os.pathsep.join([*FOLDERS, os.environ["PATH"]]),
    }
    dump = subprocess.run(
        ["pg_dump", "-Fc", account.path[1:]], env=environment, capture_output=True, check=True
    ).stdout
    again = f"{account.path[1:]}_again"
    run_once(database_address.replace("+psycopg2", ""), f"CREATE DATABASE {again}")
    subprocess.run(["pg_restore", "-d", again], env=environment, input=dump, capture_output=True, check=True)
    restored = open_engine(f"{database_address.rpartition('/')[0]}/{again}")
    upgrade(restored)
    with Session(restored) as db:
        assert db.scalars(select(ContactMessage.text)).all() == ["before"]
        # Numbers go on where they were: the next message does not meet an old one.
        db.add(a_message("after"))
        db.commit()
    restored.dispose()
