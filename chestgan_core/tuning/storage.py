"""Where studies are kept while they go on: Optuna's database, embedded (SQLite in the local folder) or PostgreSQL.

In: $CHESTGAN_STUDY_STORAGE or the local folder. Out: a storage that several processes use at once. A trial whose
process was killed stops to give signs of life; the next worker fails it and it is tried again.
"""

import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from chestgan_core.errors import BadInput, NotAvailable, StoreUnreachable

VARIABLE = "CHESTGAN_STUDY_STORAGE"
EMBEDDED = "studies.sqlite3"
# Seconds between two signs of life of a trial, and without one until it counts as dead.
BEAT, GRACE = 10, 60
# Of one configuration: where each kills its process (memory), another one takes its place.
MOST_RETRIES = 2
BUSY_SECONDS = 60
REMEDY = f"set {VARIABLE} to postgresql+psycopg2://user@host/database, with the password in ~/.pgpass or $PGPASSWORD"


def study_storage(home: Path, beat: int = BEAT, grace: int = GRACE) -> RDBStorage:
    """The storage of this installation.

    Raises BadInput (an address that is none of PostgreSQL; the embedded one where steps run on several machines; a
    database of another program), NotAvailable (no driver), StoreUnreachable. None of them repeats the address: a
    password may be in it.
    """
    told = os.environ.get(VARIABLE)
    if not told and os.environ.get("CHESTGAN_EXECUTOR") == "k8s":
        raise BadInput(VARIABLE, "is not set, and the embedded storage of studies is for one machine", REMEDY)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would tell of each failed trial with a traceback
    with quiet(), _explained(), _one_at_a_time(home, embedded=not told):
        url = _postgresql(told) if told else URL.create("sqlite", database=str(home / EMBEDDED))
        return RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={"pool_pre_ping": True} if told else {"connect_args": {"timeout": BUSY_SECONDS}},
            heartbeat_interval=beat,
            grace_period=grace,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=MOST_RETRIES),
        )


def storage_title() -> str:
    """What people may read of the storage: its kind and host, no account."""
    if not (told := os.environ.get(VARIABLE)):
        return "embedded (SQLite in the local folder)"
    url = _postgresql(told)
    return f"PostgreSQL, {url.database} at {url.host or 'this machine'}"


def _postgresql(told: str) -> URL:
    try:
        url = make_url(told)
    except (ArgumentError, ValueError):
        raise BadInput(VARIABLE, "is no address of a database", REMEDY) from None
    if url.get_backend_name() != "postgresql":
        raise BadInput(VARIABLE, "is no address of a PostgreSQL database", REMEDY)
    # SQLAlchemy takes psycopg 3 where no driver is named, and the pipeline brings psycopg2.
    return url.set(drivername="postgresql+psycopg2") if url.drivername == "postgresql" else url


@contextmanager
def _one_at_a_time(home: Path, embedded: bool) -> Iterator[None]:
    """Two processes that make the tables of a new file at once would both fail."""
    if not embedded:
        yield
        return
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / f".{EMBEDDED}.lock").open("a")
    except OSError as error:
        raise BadInput(
            home, f"cannot be written ({error.strerror})", "set CHESTGAN_HOME to a folder of yours"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise NotAvailable(
            "PostgreSQL", "its driver is not installed", "pip install 'chestgan[deploy]'"
        ) from None
    except OperationalError as error:
        raise unreachable(error) from None
    except RuntimeError:  # Optuna, of a revision in the database that is none of its own
        raise BadInput(
            VARIABLE,
            "names a database of another program, or of a newer Optuna",
            "give studies a database of their own: CREATE DATABASE studies",
        ) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Signs of life and retries are experimental in Optuna since years; nobody here can do anything about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def unreachable(error: DBAPIError) -> StoreUnreachable:
    """A failure of the database as an error for people, without statements, values and addresses."""
    cause = f"does not answer or broke off ({type(error.orig).__name__})"
    return StoreUnreachable("the storage of studies", cause, f"check that it runs, and {VARIABLE}")
