"""Fixtures that more than one room needs, the order of the files, and what a run says it left out."""

import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

pytest_plugins = ["tests.store_fixtures", "tests.browser_fixtures"]

ROOT = Path(__file__).parent.parent
# In a parallel run these begin, so that the end does not wait for one of them alone: the longest first.
LONGEST = (
    "pipeline/test_collection", "pipeline/test_webserver", "portal/test_accessibility",
    "deploy/test_compose_processes", "pipeline/test_month",
    "pipeline/test_chain", "tuning/test_workers", "pipeline/test_reports", "pipeline/test_study", "pipeline/test_demo",
)  # fmt: skip
ORDER = {f"tests/{file}.py": place for place, file in enumerate(LONGEST)}
LEFT_OUT = pytest.StashKey[dict[str, str]]()
COMMANDS = {"slow": "make test-slow", "kubernetes": "pytest -m kubernetes (needs a cluster)"}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.get(item.nodeid.partition("::")[0], len(ORDER)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test printed or logged goes to another process in a parallel run, which takes no half of a surrogate."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in ("kubernetes", "slow"):
            if item.get_closest_marker(mark):
                item.config.stash[LEFT_OUT][item.nodeid] = mark
                break


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of a parallel run tells the one that prints; all of them have left out the same."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    node.config.stash[LEFT_OUT].update(getattr(node, "workeroutput", {}).get("left_out", {}))  # type: ignore[attr-defined]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Nothing is left out silently. The line after these is pytest's: what ran, and how long."""
    for mark, count in Counter(config.stash[LEFT_OUT].values()).items():
        terminalreporter.write_line(
            f"LEFT OUT: {count} tests with the mark {mark}; they run with: {COMMANDS[mark]}"
        )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real CT for development. It is not part of the project: without it these tests are left out."""
    folder = Path(os.environ.get("CHESTGAN_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set CHESTGAN_REAL_DATA)")
    return folder


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five generated patients as DICOM files: one folder for all processes of a parallel run, not to be changed."""
    from chestgan_core.local.files import file_lock
    from chestgan_core.sources.phantom.patients import write_phantoms

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with file_lock(folder / "phantoms.lock"):
        if not (folder / "phantoms").exists():
            write_phantoms(folder / "phantoms.part", patients=5, seed=1, size=128, slices=24)
            (folder / "phantoms.part").rename(folder / "phantoms")
    return folder / "phantoms"
