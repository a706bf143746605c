"""Fixtures that more than one room needs, and how files share the processes of a parallel run."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.store_fixtures"]

ROOT = Path(__file__).parent.parent
FIRST, NICER = "gw0", 10  # the process that begins with the servers; how far the others step back


def pytest_configure(config: pytest.Config) -> None:
    """Servers, daemons and what waits for them come first; arithmetic takes what they leave of the processors."""
    if os.environ.get("PYTEST_XDIST_WORKER", FIRST) != FIRST:
        os.nice(NICER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For --dist loadgroup: a file is a group, and the files marked `servers` are one, which begins.

    Two of those at once starve each other: each starts several processes that are given up when they keep silent.
    """
    items.sort(key=lambda item: item.get_closest_marker("servers") is None)
    for item in items:
        group = "servers" if item.get_closest_marker("servers") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


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
    from chestgan_core.sources.phantom import write_phantoms

    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, patients=5, seed=1, size=128, slices=24)
    return folder
