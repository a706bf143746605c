"""Fixtures that more than one room needs, and how files share the processes of a parallel run."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.store_fixtures"]

ROOT = Path(__file__).parent.parent
# Files that start servers, daemons, several processes that others wait for; each group one after the other, as more at
# once starve each other. The second is a file that mostly waits.
SERVERS = {
    f"tests/{file}.py": group
    for group, files in {
        "servers": (
            "deploy/test_compose_processes", "deploy/test_instance", "pipeline/test_demo", "pipeline/test_study",
            "pipeline/test_webserver", "tuning/test_postgresql", "tuning/test_workers",
        ),
        "collection": ("pipeline/test_collection",),
    }.items()
    for file in files
}  # fmt: skip
NICER = 10  # how far arithmetic steps back


def pytest_runtest_setup(item: pytest.Item) -> None:
    """In a parallel run, arithmetic takes what servers leave of the processors. They come first, so once is enough."""
    if "PYTEST_XDIST_WORKER" in os.environ and file_of(item.nodeid) not in SERVERS and not os.nice(0):
        os.nice(NICER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files with servers take longest, so they begin."""
    items.sort(key=lambda item: SERVERS.get(file_of(item.nodeid), ""), reverse=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Whatever --dist says: a process gets a file at a time, and a group of files with servers as if it were one."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = file_of(nodeid)
            return SERVERS.get(file, file)

    return Files(config, log)


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real CT for development. It is not part of the project: without it these tests are left out."""
    folder = Path(os.environ.get("CHESTGAN_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set CHESTGAN_REAL_DATA)")
    return folder


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five generated patients as DICOM files."""
    from chestgan_core.sources.phantom.patients import write_phantoms

    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, patients=5, seed=1, size=128, slices=24)
    return folder
