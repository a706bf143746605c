"""One machine: Dagster's home and the store, ready for the processes that `make demo` and `make dev` start."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from chestgan_core.local.home import home

ROOT = Path(__file__).parent.parent.parent


def dagster_home() -> Path:
    """The folder of Dagster's history, with a dagster.yaml in it and its databases made.

    Dagster reads dagster.yaml from its home only. Ours gets the repository's, the one that people edit; a home that
    $DAGSTER_HOME names keeps its own.
    """
    told = os.environ.get("DAGSTER_HOME")
    folder = Path(told or home() / "dagster").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not told or not (folder / "dagster.yaml").exists():
        shutil.copyfile(ROOT / "dagster.yaml", folder / "dagster.yaml")
    # Webserver and daemon would both create the tables at their first start, and one of them would fail.
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        instance.get_runs_count()
        instance.all_asset_keys()
        instance.all_instigator_state()
    return folder


@contextmanager
def local_environment() -> Iterator[dict[str, str]]:
    """The environment of a process that uses the local Dagster and a store.

    The store is $CHESTGAN_STORE where it is set, else the embedded one, which runs until the block ends.
    """
    # Thumbnails of real patients come to lie here: in Dagster's history, in the report of the demo.
    home().mkdir(parents=True, exist_ok=True)
    home().chmod(0o700)
    # Threads that wait for work must not spin: beside one other busy process that halves the speed of a training.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # All of it is here, also where "here" is a pod.
    os.environ.setdefault("CHESTGAN_EXECUTOR", "multiprocess")
    environment = {**os.environ, "DAGSTER_HOME": str(dagster_home()), "CHESTGAN_HOME": str(home())}
    if os.environ.get("CHESTGAN_STORE"):
        yield environment
        return
    from chestgan_core.store.embedded import EmbeddedStore

    with EmbeddedStore(home()) as embedded:
        yield {**environment, **embedded.environment}
