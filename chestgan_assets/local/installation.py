"""The installation of one machine: Dagster's home and the store, for the processes of `make demo` and `make dev`."""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from chestgan_core.local.files import file_error
from chestgan_core.local.home import home
from chestgan_core.store.store import Store

ROOT = Path(__file__).parent.parent.parent
_TEMPORARY = "chestgan-dev-"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Installation:
    """variables: what a process needs in its environment to find Dagster's home and the store."""

    dagster_home: Path
    store: Store
    variables: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a child process."""
        return {**os.environ, **self.variables}


def dagster_home() -> Path:
    """The folder of Dagster's history, with a dagster.yaml in it and its databases created.

    Dagster reads dagster.yaml from its home only. Ours gets a copy of the repository's, which is the one to edit; a
    home named by $DAGSTER_HOME keeps its own.
    """
    named = os.environ.get("DAGSTER_HOME")
    folder = Path(named or home() / "dagster").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not named or not (folder / "dagster.yaml").exists():
        shutil.copyfile(ROOT / "dagster.yaml", folder / "dagster.yaml")
    # Webserver and daemon would both create the tables at their first start, and one of them would fail.
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        instance.get_runs_count()
        instance.all_asset_keys()
        instance.all_instigator_state()
    return folder


@contextmanager
def local_installation() -> Iterator[Installation]:
    """Dagster's home, and the store: $CHESTGAN_STORE where it is set, else the embedded one until the block ends."""
    # Thumbnails of real patients are stored below it: in Dagster's history, in the report of the demo.
    try:
        home().mkdir(parents=True, exist_ok=True)
        home().chmod(0o700)
        folder = dagster_home()
    except OSError as error:
        where = Path(error.filename or home())
        raise file_error(where, error, "set CHESTGAN_HOME to a folder of yours") from error
    variables = {
        # Threads that wait for work must not spin: beside one other busy process that halves the speed of a training.
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
        # Everything runs on this machine, even where it is a pod.
        "CHESTGAN_EXECUTOR": os.environ.get("CHESTGAN_EXECUTOR", "multiprocess"),
        "DAGSTER_HOME": str(folder),
        "CHESTGAN_HOME": str(home()),
    }
    if os.environ.get("CHESTGAN_STORE"):
        yield Installation(folder, Store.open(), variables)
        return
    from chestgan_core.store.embedded import EmbeddedStore

    with EmbeddedStore(home()) as embedded:
        yield Installation(folder, embedded.store(), {**variables, **embedded.environment})


@contextmanager
def private_temporary_folder(dagster_home: Path) -> Iterator[Path]:
    """A folder for temporary files of the servers, which no other account reads; it is removed when the block ends.

    Code servers are reached by sockets in it, and whoever reaches one can run code. Not below the home: the path of a
    socket has at most 108 characters. That of a killed process is removed first; call it with dev_lock.
    """
    recorded = dagster_home / "temporary-folder"
    with suppress(OSError):
        left = recorded.readlink()
        if left.name.startswith(_TEMPORARY) and left.stat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)
            _log.info("the temporary files of a killed process were removed")
    recorded.unlink(missing_ok=True)
    with TemporaryDirectory(prefix=_TEMPORARY, ignore_cleanup_errors=True) as folder:
        recorded.symlink_to(folder)
        yield Path(folder)
    recorded.unlink(missing_ok=True)


@contextmanager
def process_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """This process's environment with these variables, until the block ends.

    For Dagster in this process, which finds its home in no other way. Children get their environment by argument.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
