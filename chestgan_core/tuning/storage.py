"""The database of running studies: Optuna's, embedded (SQLite in the local folder) or PostgreSQL.

In: $CHESTGAN_STUDY_STORAGE or the local folder. Out: a storage that several processes use at once. A trial whose
process was killed has no heartbeat; the next worker fails and retries it.
"""

import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from chestgan_core.errors import BadInput, ChestganError, DiskFull, NotAvailable, StoreUnreachable
from chestgan_core.local.files import file_error, file_lock

VARIABLE = "CHESTGAN_STUDY_STORAGE"
EMBEDDED = "studies.sqlite3"
_SQLITE = b"SQLite format 3\0"
# Seconds between two heartbeats of a trial, and without one until the trial counts as dead.
HEARTBEAT, GRACE = 10, 60
# Per configuration: one that kills its process each time (memory) is given up.
MAX_RETRIES = 2
BUSY_SECONDS = 60
REMEDY = f"set {VARIABLE} to postgresql+psycopg2://user@host/database, with the password in ~/.pgpass or $PGPASSWORD"


def study_storage(home: Path, heartbeat: int = HEARTBEAT, grace: int = GRACE) -> RDBStorage:
    """The storage of this installation.

    Raises BadInput (an address that is not of PostgreSQL; the embedded storage where steps run on several machines; a
    database of another program), NotAvailable (no driver), StoreUnreachable. None of them repeats the address, which
    may contain a password.
    """
    address = os.environ.get(VARIABLE)
    if not address and os.environ.get("CHESTGAN_EXECUTOR") == "k8s":
        raise BadInput(VARIABLE, "is not set, and the embedded storage of studies is for one machine", REMEDY)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # else each failed trial is logged with a traceback
    with quiet(), _explained(), _one_at_a_time(home, embedded=not address):
        url = _postgresql(address) if address else URL.create("sqlite", database=str(home / EMBEDDED))
        return RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={"pool_pre_ping": True} if address else {"connect_args": {"timeout": BUSY_SECONDS}},
            heartbeat_interval=heartbeat,
            grace_period=grace,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=MAX_RETRIES),
        )


def storage_title() -> str:
    """Kind and host of the storage, without an account, for people."""
    if not (address := os.environ.get(VARIABLE)):
        return "embedded (SQLite in the local folder)"
    url = _postgresql(address)
    return f"PostgreSQL, {url.database} at {url.host or 'this machine'}"


def _postgresql(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise BadInput(VARIABLE, "is not the address of a database", REMEDY) from None
    if url.get_backend_name() != "postgresql":
        raise BadInput(VARIABLE, "is not the address of a PostgreSQL database", REMEDY)
    # SQLAlchemy takes psycopg 3 where no driver is named; the extra `deploy` installs psycopg2.
    return url.set(drivername="postgresql+psycopg2") if url.drivername == "postgresql" else url


@contextmanager
def _one_at_a_time(home: Path, embedded: bool) -> Iterator[None]:
    """Lock the embedded file: two processes that create its tables at once would both fail."""
    if not embedded:
        yield
        return
    with ExitStack() as held:
        try:
            home.mkdir(parents=True, exist_ok=True)
            held.enter_context(file_lock(home / f".{EMBEDDED}.lock"))
            _require_sqlite(home / EMBEDDED)
        except OSError as error:
            raise file_error(home, error, "set CHESTGAN_HOME to a folder of yours") from error
        yield


def _require_sqlite(path: Path) -> None:
    """Raises BadInput: what has the name of the embedded database is none. OSError."""
    if not path.exists():
        return
    first = b""
    if path.is_file():
        with path.open("rb") as file:
            first = file.read(len(_SQLITE))
    if first != _SQLITE and (first or not path.is_file()):
        raise BadInput(path, "is not a database of studies", "move it away: a new one is made")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise NotAvailable(
            "PostgreSQL", "its driver is not installed", "pip install 'chestgan[deploy]'"
        ) from None
    except DBAPIError as error:
        raise unreachable(error) from None
    except RuntimeError:  # Optuna, of a revision in the database that is not its own
        raise BadInput(
            VARIABLE,
            "names a database of another program or of a newer Optuna",
            "give studies a database of their own: CREATE DATABASE studies",
        ) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Hide Optuna's warnings that heartbeats and retries are experimental: no user can act on them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def unreachable(error: DBAPIError) -> ChestganError:
    """A failure of the database without statements, values and addresses.

    StoreUnreachable, which may pass; of the embedded database DiskFull, or BadInput where its file is damaged or cannot
    be written.
    """
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the kind, without its details
        what = f"the storage of studies ({EMBEDDED} in the local folder)"
        if code == sqlite3.SQLITE_FULL:
            return DiskFull(what, "cannot be written (no space left)", "free some space on its disk")
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return BadInput(what, "is damaged", "move it away: a new one is made")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return BadInput(what, "cannot be written", "set CHESTGAN_HOME to a folder of yours")
    cause = f"does not answer, or broke off ({type(error.orig).__name__})"
    return StoreUnreachable("the storage of studies", cause, f"check that it runs, and {VARIABLE}")
