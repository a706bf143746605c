"""Fixtures that more than one room needs."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["tests.store_fixtures"]

ROOT = Path(__file__).parent.parent


# The longest first: a worker that gets one of them at the end works on alone. With `--no-loadscope-reorder`, as
# pytest-xdist would begin with the files of many tests.
LONGEST = (
    "kubernetes/test_pods.py",
    "pipeline/test_collection.py",
    "pipeline/test_webserver.py",
    "pipeline/test_chain.py",
    "tuning/test_study.py",
    "training/test_recipes.py",
    "pipeline/test_demo.py",
    "pipeline/test_study.py",
    "evaluation/test_report.py",
    "training/test_loop.py",
    "pipeline/test_month.py",
    "pipeline/test_reports.py",
    "tuning/test_workers.py",
    "slices/test_training_set.py",
    "test_docs.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    assert all(path.is_file() for path in order)
    items.sort(key=lambda item: order.get(item.path, len(order)))


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
