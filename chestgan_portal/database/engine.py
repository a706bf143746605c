"""The connection to the database, and its migrations.

In: the address from the settings. Out: an engine whose tables are those of this version. SQLite writes ahead (WAL), so
that readers of a page never wait for a writer, and an accepted answer is on the disk before the browser hears of it.
"""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import QueuePool

from chestgan_core.errors import BadInput
from chestgan_portal.settings import DATABASE

MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY = 10_000  # milliseconds that a writer waits for another one
_POOL = 20  # connections


def open_engine(address: str) -> Engine:
    """The engine of an address; no connection is made yet. Raises BadInput, which does not repeat the address."""
    remedy = f"set {DATABASE} to sqlite:////path/portal.sqlite or postgresql+psycopg2://user@host/name"
    try:
        url = make_url(address)
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, poolclass=QueuePool, pool_size=_POOL, max_overflow=0)
            event.listen(engine, "connect", _set_up_sqlite)
        else:
            engine = create_engine(url, pool_size=_POOL, max_overflow=0, pool_pre_ping=True, pool_timeout=10)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise BadInput(DATABASE, "is not the address of a database that can be used", remedy) from error
    return engine


def upgrade(engine: Engine) -> None:
    """Bring the tables to this version; those that are already stay as they are. Raises BadInput: no connection."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except OperationalError as error:
        raise BadInput(
            DATABASE, "the database does not open", "check that it runs and may be written"
        ) from error


def _set_up_sqlite(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    for line in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={_BUSY}"):
        cursor.execute(f"PRAGMA {line}")
    cursor.close()
